/// The pseudo-header fields of a block (RFC 9113 §8.3), each at most once and all before the others.
struct PseudoFields {
    private(set) var method: Range<Int>?
    private(set) var scheme: Range<Int>?
    private(set) var authority: Range<Int>?
    private(set) var path: Range<Int>?
    private(set) var status: Range<Int>?
    /// `:protocol` (RFC 8441 §4).
    private(set) var connectProtocol: Range<Int>?
    /// How many there are.
    private(set) var count = 0

    /// - Throws: 400 for one that is unknown, comes twice or behind another field, or whose value is malformed.
    init(_ fields: [Field], _ bytes: Span<UInt8>) throws(HTTPError) {
        for field in fields {
            guard field.traits.contains(.pseudo) else { break }
            guard !field.traits.contains(.badValue) else {
                throw .badMessage("control byte or white space in a pseudo-header (RFC 9113 8.2.1)")
            }
            try take(field, bytes)
            count += 1
        }
        for field in fields[count...] where field.traits.contains(.pseudo) {
            throw .badMessage("pseudo-header behind a field (RFC 9113 8.3)")
        }
    }

    private mutating func take(_ field: Field, _ bytes: Span<UInt8>) throws(HTTPError) {
        let name = field.name
        switch name.count {
        case 5 where bytes.matches(name, ":path"): try Self.set(&path, field.value)
        case 7 where bytes.matches(name, ":method"): try Self.set(&method, field.value)
        case 7 where bytes.matches(name, ":scheme"): try Self.set(&scheme, field.value)
        case 7 where bytes.matches(name, ":status"): try Self.set(&status, field.value)
        case 9 where bytes.matches(name, ":protocol"): try Self.set(&connectProtocol, field.value)
        case 10 where bytes.matches(name, ":authority"): try Self.set(&authority, field.value)
        default: throw .badMessage("unknown pseudo-header (RFC 9113 8.3)")
        }
    }

    private static func set(_ place: inout Range<Int>?, _ value: Range<Int>) throws(HTTPError) {
        guard place == nil else { throw .badMessage("pseudo-header twice (RFC 9113 8.3)") }
        place = value
    }
}
