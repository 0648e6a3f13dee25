internal import FoundationEssentials
package import TunnelCore

/// Makes text that a server sent fit for an error: without our secrets, on one line, and bounded.
///
/// A server may echo what it was sent, whole or in part: every stretch of 16 bytes that also occurs in one of the
/// secrets is cut out, and so is whatever begins like a JWT or like a key of Anthropic's. An echo is found too if it is in
/// base64 or in hexadecimal digits, or if there is something else between its characters, such as spaces or line feeds.
package struct Redaction: Sendable {
    /// The longest text, in characters, that comes out.
    package static let maxCharacters = 2000
    /// What is longer is not looked at beyond this. With all secrets cut out of it, it still fills the longest text.
    private static let maxInput = 64 * 1024
    private static let mark = Array("[redacted]".utf8)
    private static let beginnings = [Array("eyJ".utf8), Array("sk-ant-".utf8)]

    /// Shorter parts would also be found where they do not stand for the secret.
    private static let width = 16

    /// The stretches that are looked for, of ``width`` bytes or of a shorter secret's own length.
    private let stretches: [Int: Set<[UInt8]>]
    /// The same of the letters and digits alone, of the secrets and of their encodings.
    private let plainStretches: Set<[UInt8]>

    package init(_ secrets: [Secret]) {
        var stretches: [Int: Set<[UInt8]>] = [:]
        var plain: Set<[UInt8]> = []
        for secret in secrets {
            let bytes = Array(secret.reveal().utf8)
            let width = min(Self.width, bytes.count)
            guard width > 0 else { continue }
            stretches[width, default: []].formUnion(Self.stretches(of: bytes, width))
            for form in [bytes] + Self.encodings(of: bytes) {
                plain.formUnion(Self.stretches(of: form.filter(Self.isAlphanumeric), Self.width))
            }
        }
        (self.stretches, plainStretches) = (stretches, plain)
    }

    private static func stretches(of bytes: [UInt8], _ width: Int) -> [[UInt8]] {
        guard bytes.count >= width else { return [] }
        return (0...bytes.count - width).map { Array(bytes[$0..<$0 + width]) }
    }

    /// Base64 takes three bytes at a time, so what follows some other text, or begins in the midst of the secret, is
    /// encoded in one of three ways. Its two alphabets differ in characters that are passed over.
    private static func encodings(of bytes: [UInt8]) -> [[UInt8]] {
        let base64 = (0..<min(3, bytes.count)).map { start in
            let whole = bytes[start...].prefix((bytes.count - start) / 3 * 3)
            return Array(Data(whole).base64EncodedString().utf8)
        }
        let digits = bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        return base64 + [Array(digits.utf8), Array(digits.uppercased().utf8)]
    }

    package func callAsFunction(_ text: String, limit: Int = Self.maxCharacters) -> String {
        let bytes = Array(text.utf8.prefix(Self.maxInput))
        var isHidden = [Bool](repeating: false, count: bytes.count)
        for (width, stretches) in stretches { hide(stretches, width, in: bytes, Array(bytes.indices), &isHidden) }
        if !plainStretches.isEmpty {
            let places = bytes.indices.filter { Self.isAlphanumeric(bytes[$0]) }
            hide(plainStretches, Self.width, in: places.map { bytes[$0] }, places, &isHidden)
        }
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

    /// - Parameter places: where each of `bytes` stands in the text.
    private func hide(
        _ stretches: Set<[UInt8]>, _ width: Int, in bytes: [UInt8], _ places: [Int], _ isHidden: inout [Bool]
    ) {
        guard bytes.count >= width else { return }
        for start in 0...bytes.count - width where stretches.contains(Array(bytes[start..<start + width])) {
            for index in places[start]...places[start + width - 1] { isHidden[index] = true }
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

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }

    /// The characters of base64url, and the dots between a JWT's parts.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")].contains(byte)
    }

    private static func escaped(_ bytes: [UInt8]) -> String {
        var buffer = ByteBuffer()
        EscapedText.append(bytes.span, .message, limit: bytes.count, to: &buffer)
        return String(decoding: buffer.array, as: UTF8.self)
    }
}
