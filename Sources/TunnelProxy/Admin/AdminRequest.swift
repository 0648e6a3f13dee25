internal import FoundationEssentials
internal import TunnelCore

/// A request to the admin listener, as far as an endpoint looks at it.
struct AdminRequest {
    let method: String
    /// Without the query; as it came.
    let path: String
    /// Names and values of the query, decoded.
    let query: [(name: String, value: String)]
    /// By lower-case name; of a name that comes twice, both values with a comma between them (RFC 9110 §5.3).
    let fields: [String: String]
    /// Of a PUT; empty otherwise.
    var body: [UInt8] = []

    /// The value of the first parameter of the query that has that name.
    func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }

    init(_ head: RequestHead, _ bytes: Span<UInt8>) {
        func text(_ range: Range<Int>) -> String {
            bytes.extracting(range).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        }
        method = text(head.methodRange)
        path = text(head.path)
        let target = text(head.target)
        query = target.firstIndex(of: "?").map { Self.parameters(target[target.index(after: $0)...]) } ?? []
        fields = Dictionary(
            head.fields.map { (text($0.name).lowercased(), text($0.value)) }, uniquingKeysWith: { "\($0), \($1)" })
    }

    private static func parameters(_ query: Substring) -> [(name: String, value: String)] {
        query.split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (decoded(parts[0]), parts.count > 1 ? decoded(parts[1]) : "")
        }
    }

    /// As forms write it: `+` for a space, `%xx` for a byte. What is neither stays as it is.
    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(2).compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
            if byte == UInt8(ascii: "%"), digits.count == 2 {
                bytes.append(UInt8(truncatingIfNeeded: digits[0] << 4 | digits[1]))
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// What an endpoint says.
enum AdminReply {
    case whole(AdminResponse)
    /// A body whose end is not known: the closure sends it, and ends when it is told that nobody reads any more.
    case stream(type: String, (AdminBody) async -> Void)
}

/// A response that is there as a whole.
struct AdminResponse {
    var status: UInt16 = 200
    let type: String
    var fields: [(name: String, value: String)] = []
    let body: [UInt8]

    static func text(_ text: String, status: UInt16 = 200) -> AdminResponse {
        AdminResponse(status: status, type: "text/plain; charset=utf-8", body: Array("\(text)\n".utf8))
    }

    static func json(_ value: some Encodable, status: UInt16 = 200) -> AdminResponse {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Values of ours: texts, numbers and lists of these can always be encoded.
        let body = (try? encoder.encode(value)) ?? Data()
        return AdminResponse(status: status, type: "application/json", body: Array(body) + [UInt8(ascii: "\n")])
    }
}

/// Something that the admin listener has under a path.
protocol AdminEndpoint: AnyObject {
    /// Besides GET and HEAD.
    var takesPut: Bool { get }
    /// May be opened from a link on another site: it costs little, and is over at once.
    var takesLinks: Bool { get }
    /// - Parameter request: a GET, as which a HEAD is asked too, or a PUT where that is taken.
    func reply(to request: AdminRequest) async -> AdminReply
}

extension AdminEndpoint {
    var takesPut: Bool { false }
    var takesLinks: Bool { true }
}
