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

    /// - Throws: 400 for one that is unknown, comes twice, or whose value is malformed. One behind another field is none of
    ///   these, and `Field.checkForHTTP2` finds it.
    init(_ fields: [Field]) throws(HTTPError) {
        while count < fields.count {
            let traits = fields[count].traits
            guard traits.contains(.pseudo) else { break }
            guard !traits.contains(.badValue) else {
                throw .badMessage("control byte or white space in a pseudo-header (RFC 9113 8.2.1)")
            }
            let value = fields[count].value
            switch traits.pseudoName {
            case .path: try Self.set(&path, value)
            case .method: try Self.set(&method, value)
            case .scheme: try Self.set(&scheme, value)
            case .status: try Self.set(&status, value)
            case .connectProtocol: try Self.set(&connectProtocol, value)
            case .authority: try Self.set(&authority, value)
            case .unknown: throw .badMessage("unknown pseudo-header (RFC 9113 8.3)")
            }
            count += 1
        }
    }

    private static func set(_ place: inout Range<Int>?, _ value: Range<Int>) throws(HTTPError) {
        guard place == nil else { throw .badMessage("pseudo-header twice (RFC 9113 8.3)") }
        place = value
    }
}
