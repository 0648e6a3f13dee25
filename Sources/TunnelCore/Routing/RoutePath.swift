/// An entry of a route's `paths`: one whole path, or with `/*` at its end all that begin there.
///
/// A whole path is compared byte for byte, so whatever the upstream makes of it is what was allowed. Below a beginning
/// stands what the client chose, and there everything is refused that the upstream could take for another place: `.` and
/// `..`, empty segments, a backslash, path parameters, and `/`, `\`, `.` and `%` in their encoded forms.
package struct RoutePath: Sendable, Equatable {
    private let bytes: [UInt8]
    private let isBeginning: Bool

    /// - Returns: `nil` for what is no path.
    package init?(_ text: String) {
        isBeginning = text.hasSuffix("/*")
        bytes = Array(isBeginning ? text.dropLast().utf8 : text[...].utf8)
        guard bytes.first == 0x2F, bytes.count <= 1024 else { return nil }
        let isPlain = bytes.allSatisfy { $0 > 0x20 && $0 < 0x7F && !Array("?#*\"<>\\".utf8).contains($0) }
        guard isPlain, bytes.withUnsafeBufferPointer({ !Self.isAmbiguous($0.span, from: 0) }) else { return nil }
    }

    package func matches(_ path: Span<UInt8>) -> Bool {
        guard isBeginning ? path.count >= bytes.count : path.count == bytes.count else { return false }
        for index in bytes.indices where path[index] != bytes[index] { return false }
        return !isBeginning || !Self.isAmbiguous(path, from: bytes.count - 1)
    }

    /// - Parameter start: where a segment's `/` stands.
    private static func isAmbiguous(_ path: Span<UInt8>, from start: Int) -> Bool {
        var index = start
        while index < path.count {
            let byte = path[index]
            let next: UInt8? = index + 1 < path.count ? path[index + 1] : nil
            switch byte {
            case UInt8(ascii: "\\"), UInt8(ascii: ";"): return true
            case UInt8(ascii: "/"):
                if next == UInt8(ascii: "/") { return true }
                if next == UInt8(ascii: "."), isDots(path, from: index + 1) { return true }
            case UInt8(ascii: "%"):
                guard index + 2 < path.count, let high = path[index + 1].hexDigit, let low = path[index + 2].hexDigit
                else { return true }
                switch high << 4 | low {
                case 0...0x20, 0x7F, 0x25, 0x2E, 0x2F, 0x3B, 0x5C: return true
                default: break
                }
            default: break
            }
            index += 1
        }
        return false
    }

    /// Whether a segment that begins at `start` is `.` or `..`.
    private static func isDots(_ path: Span<UInt8>, from start: Int) -> Bool {
        var index = start
        while index < path.count, path[index] == UInt8(ascii: ".") { index += 1 }
        return index - start <= 2 && (index == path.count || path[index] == UInt8(ascii: "/"))
    }
}
