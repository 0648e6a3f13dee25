package import TunnelCore

/// Makes text that a server sent fit for an error: without our secrets, on one line, and bounded.
///
/// A server may echo what it was sent, whole or in part: every stretch of 16 bytes that also occurs in one of the
/// secrets is cut out, and so is whatever begins like a JWT or like a key of Anthropic's.
package struct Redaction: Sendable {
    /// The longest text, in characters, that comes out.
    package static let maxCharacters = 2000
    /// What is longer is not looked at beyond this. With all secrets cut out of it, it still fills the longest text.
    private static let maxInput = 64 * 1024
    private static let mark = Array("[redacted]".utf8)
    private static let beginnings = [Array("eyJ".utf8), Array("sk-ant-".utf8)]

    private let secrets: [Secret]

    package init(_ secrets: [Secret]) { self.secrets = secrets }

    package func callAsFunction(_ text: String, limit: Int = Self.maxCharacters) -> String {
        let bytes = Array(text.utf8.prefix(Self.maxInput))
        var isHidden = [Bool](repeating: false, count: bytes.count)
        for secret in secrets { hide(Array(secret.reveal().utf8), in: bytes, &isHidden) }
        hideTokens(in: bytes, &isHidden)

        var kept: [UInt8] = []
        for index in bytes.indices {
            if !isHidden[index] {
                kept.append(bytes[index])
            } else if index == 0 || !isHidden[index - 1] {
                kept += Self.mark
            }
        }
        let escaped = Self.escaped(kept).unicodeScalars
        guard escaped.count > limit else { return String(escaped) }
        return String(String.UnicodeScalarView(escaped.prefix(limit - 1))) + "…"
    }

    private func hide(_ secret: [UInt8], in bytes: [UInt8], _ isHidden: inout [Bool]) {
        let width = min(16, secret.count)
        guard width > 0, bytes.count >= width else { return }
        var pieces: Set<ArraySlice<UInt8>> = []
        for start in 0...secret.count - width { pieces.insert(secret[start..<start + width]) }
        for start in 0...bytes.count - width where pieces.contains(bytes[start..<start + width]) {
            for index in start..<start + width { isHidden[index] = true }
        }
    }

    private func hideTokens(in bytes: [UInt8], _ isHidden: inout [Bool]) {
        var index = 0
        while index < bytes.count {
            let run = bytes[index...].prefix(while: Self.isTokenByte)
            // With something glued to its front it has to be long, or request ids would fall to it by chance.
            let token = run.indices.first { start in
                (start == run.startIndex || run.endIndex - start >= 20)
                    && Self.beginnings.contains { run[start...].starts(with: $0) }
            }
            if let token {
                for position in token..<run.endIndex { isHidden[position] = true }
            }
            index = run.endIndex + 1
        }
    }

    /// The characters of base64url, and the dots between a JWT's parts.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private static func escaped(_ bytes: [UInt8]) -> String {
        var buffer = ByteBuffer()
        EscapedText.append(bytes.span, .message, limit: bytes.count, to: &buffer)
        return String(decoding: buffer.array, as: UTF8.self)
    }
}
