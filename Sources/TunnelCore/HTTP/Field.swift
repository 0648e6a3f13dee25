/// One field line of a head (RFC 9112 §5), as offsets into the bytes it was parsed from.
public struct Field: Sendable, Equatable {
    private let nameStart: UInt32
    private let nameEnd: UInt32
    private let valueStart: UInt32
    private let valueEnd: UInt32
    private let lineEnd: UInt32
    /// Which name it is.
    public let id: FieldName
    /// It concerns one connection only and is not passed on (RFC 9110 §7.6.1); see `HopByHop`.
    public internal(set) var isHopByHop = false

    /// The name, in the case it came in.
    public var name: Range<Int> { Int(nameStart)..<Int(nameEnd) }
    /// The value without the white space around it; may be empty.
    public var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }
    /// The whole line as it came, from the name to before its CRLF.
    public var line: Range<Int> { Int(nameStart)..<Int(lineEnd) }

    /// Parses one line without its CRLF. The line holds no control byte but HTAB and ends below 4 GiB; the scanner of
    /// lines sees to both.
    ///
    /// - Throws: 400 for a name that is empty or not a token, space before the colon, no colon, or a folded line.
    init(line: Range<Int>, in bytes: Span<UInt8>) throws(HTTPError) {
        var colon = line.lowerBound
        while colon < line.upperBound, HTTPByteSet.token.contains(bytes[colon]) { colon += 1 }
        guard colon < line.upperBound, bytes[colon] == HTTPByte.colon, colon > line.lowerBound else {
            throw Field.refusal(of: line, at: colon, in: bytes)
        }
        let name = line.lowerBound..<colon
        let value = bytes.trimmed(colon + 1..<line.upperBound)
        nameStart = UInt32(truncatingIfNeeded: name.lowerBound)
        nameEnd = UInt32(truncatingIfNeeded: name.upperBound)
        valueStart = UInt32(truncatingIfNeeded: value.lowerBound)
        valueEnd = UInt32(truncatingIfNeeded: value.upperBound)
        lineEnd = UInt32(truncatingIfNeeded: line.upperBound)
        id = FieldName(name, in: bytes)
    }

    /// Names the rule broken by the byte at `index`, the first that is not part of a name.
    private static func refusal(of line: Range<Int>, at index: Int, in bytes: Span<UInt8>) -> HTTPError {
        guard index < line.upperBound else { return .badMessage("field line without a colon (RFC 9112 5)") }
        let byte = bytes[index]
        let isSpace = byte == HTTPByte.space || byte == HTTPByte.tab
        if index == line.lowerBound {
            if isSpace { return .badMessage("folded field line (RFC 9112 5.2)") }
            if byte == HTTPByte.colon { return .badMessage("empty field name (RFC 9110 5.1)") }
        }
        if isSpace { return .badMessage("space in or after a field name (RFC 9112 5.1)") }
        return .badMessage("invalid byte in a field name (RFC 9110 5.1)")
    }
}
