/// Lists come in pages, each with the cursor of the next.
extension TunnelsClient {
    /// Items for one page. The first generation names no maximum, so this stays well below the second's 1000.
    static let pageSize = 100
    static let maxPages = 100
    static let maxItems = 10_000
    /// Longer than any cursor that has been seen by far, and short enough for a request line.
    static let maxCursorBytes = 2048

    func all<Item: Sendable>(
        _ call: APICall, _ query: [(String, String)], includeArchived: Bool, _ delivery: Delivery,
        _ read: ([UInt8]) throws(APIAnswer.Failure) -> APIPage<Item>
    ) async throws(APIError) -> [Item] {
        var query = query + [("limit", "\(Self.pageSize)")]
        if includeArchived { query.append(("include_archived", "true")) }
        var items: [Item] = []
        var cursors: Set<String> = []
        var call = call
        call.query = Self.query(query)
        for _ in 0..<Self.maxPages {
            let page = try await perform(call, delivery, read)
            items += page.items
            guard items.count <= Self.maxItems else { throw endless("has more than \(Self.maxItems) entries", call) }
            guard let next = page.next else { return items }
            guard next.utf8.count <= Self.maxCursorBytes else {
                throw endless("has a cursor of more than \(Self.maxCursorBytes) bytes", call)
            }
            guard cursors.insert(next).inserted else { throw endless("comes to the same page again", call) }
            call.query = Self.query(query + [("page", next)])
        }
        throw endless("has more than \(Self.maxPages) pages", call)
    }

    private func endless(_ what: String, _ call: APICall) -> APIError {
        APIError(
            .api, call.operation, .malformedAnswer, "the list \(what)", remedy: Remedy.wrongServer(service))
    }

    static func query(_ items: [(String, String)]) -> String {
        "?" + items.map { "\($0.0)=\(percentEncoded($0.1))" }.joined(separator: "&")
    }

    /// All but the unreserved characters (RFC 3986 §2.3) as `%XX`.
    private static func percentEncoded(_ text: String) -> String {
        text.utf8.reduce(into: "") { encoded, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                encoded += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
    }
}
