import FoundationEssentials

/// The parameters behind a path's `?`.
struct FakeQuery {
    static let list = ["include_archived", "limit", "page"]
    static let defaultLimit = 20
    static let maxLimit = 1000

    private var parameters: [String: String] = [:]

    /// - Throws: 400 for a parameter that comes twice or is badly encoded.
    init(_ request: FakeRequest) throws(FakeError) {
        for pair in (request.query ?? "").split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = FakeQuery.decode(parts[0]), let value = FakeQuery.decode(parts.count > 1 ? parts[1] : "")
            else { throw .invalid("The query is not percent-encoded as it should be") }
            guard parameters.updateValue(value, forKey: name) == nil else {
                throw .invalid("\(name): must not be given twice")
            }
        }
    }

    subscript(name: String) -> String? { parameters[name] }

    /// - Throws: 400 for a parameter that is not among `names`. `beta=true`, which Anthropic's own clients send, always
    ///   may be there.
    func allow(_ names: [String]) throws(FakeError) {
        for (name, value) in parameters.sorted(by: { $0.key < $1.key }) where !names.contains(name) {
            guard name == "beta", value == "true" else { throw .invalid("\(name): unknown query parameter") }
        }
    }

    func flag(_ name: String) throws(FakeError) -> Bool {
        switch parameters[name] {
        case nil, "false": return false
        case "true": return true
        default: throw .invalid("\(name): must be true or false")
        }
    }

    /// One page of a list, newest first.
    ///
    /// - Parameters:
    ///   - items: oldest first.
    ///   - kind: of which list it is: a cursor is for one list only.
    ///   - isWhole: everything is on one page, whatever the parameters say.
    func page(
        of items: [(sequence: Int, json: FakeJSON)], kind: String, isWhole: Bool = false
    ) throws(FakeError) -> FakeJSON {
        var limit = FakeQuery.defaultLimit
        if let text = parameters["limit"] {
            guard let value = Int(text), (1...FakeQuery.maxLimit).contains(value) else {
                throw .invalid("limit: must be a number from 1 to \(FakeQuery.maxLimit)")
            }
            limit = value
        }
        var rest = items.sorted { $0.sequence > $1.sequence }
        if let cursor = parameters["page"] {
            guard let last = FakeQuery.sequence(cursor, kind) else { throw .invalid("page: not a cursor of this list") }
            rest.removeAll { $0.sequence >= last }
        }
        let page = isWhole ? rest : Array(rest.prefix(limit))
        let next = page.count < rest.count ? page.last.map { FakeQuery.cursor($0.sequence, kind) } : nil
        return [
            "data": .array(page.map(\.json)), "next_page": .optional(next),
            FakeState.futureField.name: FakeState.futureField.value,
        ]
    }

    private static func cursor(_ sequence: Int, _ kind: String) -> String {
        "page_" + Data("\(kind) \(sequence)".utf8).base64EncodedString()
    }

    private static func sequence(_ cursor: String, _ kind: String) -> Int? {
        guard cursor.hasPrefix("page_"), let data = Data(base64Encoded: String(cursor.dropFirst(5))) else { return nil }
        let parts = String(decoding: data, as: UTF8.self).split(separator: " ")
        guard parts.count == 2, parts[0] == kind else { return nil }
        return Int(parts[1])
    }

    /// Percent-decoding alone: a `+` is a plus.
    private static func decode(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == 0x25 else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, rest.prefix(2).allSatisfy(isHexadecimal),
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte | 0x20)
    }
}
