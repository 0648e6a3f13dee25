import Testing

@testable import TunnelAPI

/// Lists of many pages, and lists that would never end.
@Suite struct TunnelsClientPagesTests {
    private static func page(_ count: Int, next: String?) -> ScriptedTransport.Step {
        let data = Array(repeating: Sample.tunnel, count: count).joined(separator: ",")
        return .ok(#"{"data":[\#(data)],"next_page":\#(next.map { "\"\($0)\"" } ?? "null")}"#)
    }

    private func error(_ steps: [ScriptedTransport.Step]) async throws -> APIError? {
        let (client, transport) = try Sample.client([.granted()] + steps)
        let error = await apiError { () throws(APIError) in try await client.tunnels() }
        #expect(transport.unplayed == 0)
        return error
    }

    @Test func takesAllPages() async throws {
        let (client, transport) = try Sample.client([
            .granted(), Self.page(2, next: "page_MjA="), Self.page(0, next: "a/b+c d&limit=1"),
            Self.page(1, next: nil),
        ])
        #expect(try await client.tunnels(includeArchived: true).count == 3)
        #expect(
            transport.requests.dropFirst().map(\.target) == [
                "/v1/tunnels?limit=100&include_archived=true",
                "/v1/tunnels?limit=100&include_archived=true&page=page_MjA%3D",
                "/v1/tunnels?limit=100&include_archived=true&page=a%2Fb%2Bc%20d%26limit%3D1",
            ])
    }

    @Test func certificatesHavePagesToo() async throws {
        let body = #"{"data":[\#(Sample.certificate)],"next_page":"n"}"#
        let (client, transport) = try Sample.client([.granted(), .ok(body), .ok(#"{"data":[]}"#)])
        #expect(try await client.certificates(of: Sample.tunnelID, includeArchived: true).count == 1)
        #expect(
            transport.requests.last?.target
                == "/v1/tunnels/\(Sample.tunnelID)/certificates?limit=100&include_archived=true&page=n")
    }

    @Test func cursorMustNotComeTwice() async throws {
        let pages = [Self.page(1, next: "a"), Self.page(1, next: "b"), Self.page(1, next: "a")]
        let error = try await error(pages)
        #expect(error?.code == .malformedResponse && error?.message == "the list comes to the same page again")
    }

    @Test func pagesAreBounded() async throws {
        let pages = (1...100).map { Self.page(1, next: $0 == 100 ? nil : "p\($0)") }
        #expect(try await error(pages) == nil)
        let endless = (1...100).map { Self.page(1, next: "p\($0)") }
        #expect(try await error(endless)?.message == "the list has more than 100 pages")
    }

    @Test func itemsAreBounded() async throws {
        let full = (1...4).map { Self.page(2500, next: $0 == 4 ? nil : "p\($0)") }
        #expect(try await error(full) == nil)
        let more = (1...3).map { Self.page(2500, next: "p\($0)") } + [Self.page(2501, next: nil)]
        #expect(try await error(more)?.message == "the list has more than 10000 entries")
    }

    @Test func cursorsAreBounded() async throws {
        let longest = String(repeating: "c", count: 2048)
        #expect(try await error([Self.page(1, next: longest), Self.page(0, next: nil)]) == nil)
        let error = try await error([Self.page(1, next: longest + "c")])
        #expect(error?.message == "the list has a cursor of more than 2048 bytes")
    }

    /// All pages share the time of one operation.
    @Test func timeIsBounded() async throws {
        let slow = (1...3).map { index -> ScriptedTransport.Step in
            guard case .response(let response) = Self.page(1, next: "p\(index)") else { return .lost }
            return .late(60, response)
        }
        let error = try await error(slow)
        #expect(error?.code == .timedOut)
    }
}
