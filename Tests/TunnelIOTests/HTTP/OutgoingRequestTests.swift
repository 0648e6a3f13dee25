import Testing
import TunnelCore

@testable import TunnelIO

@Suite struct OutgoingRequestTests {
    private static let endpoint = HTTPEndpoint(isSecure: true, host: "api.example", port: 443)

    private func text(_ request: OutgoingRequest) throws -> String {
        String(decoding: try request.encoded(for: Self.endpoint).array, as: UTF8.self)
    }

    @Test func isWrittenInOnePiece() throws {
        let request = OutgoingRequest("POST", "/v1/x?a=%20", fields: [("A", "b c\t"), ("B", "")], body: [0x68, 0x69])
        #expect(
            try text(request) == "POST /v1/x?a=%20 HTTP/1.1\r\nHost: api.example\r\nA: b c\t\r\nB: \r\n"
                + "Content-Length: 2\r\n\r\nhi")
    }

    static let lengths: [(method: String, body: [UInt8]?, isSaid: Bool)] = [
        ("GET", nil, false), ("DELETE", nil, false), ("POST", nil, true), ("PUT", nil, true), ("PATCH", nil, true),
        ("GET", [], true),
    ]

    @Test(arguments: lengths) func anEmptyBodyIsSaidWhereOneIsExpected(
        _ row: (method: String, body: [UInt8]?, isSaid: Bool)
    ) throws {
        #expect(
            try text(OutgoingRequest(row.method, "/", body: row.body)).contains("Content-Length: 0\r\n") == row.isSaid)
    }

    static let refused: [OutgoingRequest] = [
        OutgoingRequest("", "/"), OutgoingRequest("GET /", "/"), OutgoingRequest("G\r\n", "/"),
        OutgoingRequest("GÉT", "/"), OutgoingRequest("CONNECT", "/"),
        OutgoingRequest("GET", ""), OutgoingRequest("GET", "x"), OutgoingRequest("GET", "*"),
        OutgoingRequest("GET", "http://other.example/"), OutgoingRequest("GET", "/a b"),
        OutgoingRequest("GET", "/a\r\nX: y"), OutgoingRequest("GET", "/a\u{0}"), OutgoingRequest("GET", "/a#b"),
        OutgoingRequest("GET", "/\u{E9}"), OutgoingRequest("GET", "/\u{7F}"),
        OutgoingRequest("GET", "/", fields: [("", "x")]), OutgoingRequest("GET", "/", fields: [("A:", "x")]),
        OutgoingRequest("GET", "/", fields: [("A ", "x")]), OutgoingRequest("GET", "/", fields: [("A\r\nB", "x")]),
    ]

    @Test(arguments: refused.indices) func aPartThatWouldBreakTheHeadIsRefused(_ index: Int) {
        #expect(throws: HTTPClientError(.invalidRequest, .request, "", "")) { _ = try text(Self.refused[index]) }
    }

    @Test(arguments: ["a\r\nB: c", "a\n", "\r", "\u{0}", "a\u{7F}", "\u{1B}[1m"])
    func aValueWithAControlCharacterIsRefusedWithoutBeingShown(_ tail: String) throws {
        let request = OutgoingRequest("GET", "/", fields: [("X-Key", secret + tail)])
        let error = try #require(throws: HTTPClientError.self) { _ = try text(request) }
        #expect("\(error)".contains("X-Key") && !"\(error)".contains(secret))
    }

    /// Each of them would say in another way where the message ends, or what becomes of the connection.
    @Test(arguments: [
        "Host", "content-length", "Transfer-Encoding", "CONNECTION", "Keep-Alive", "TE", "Trailer", "Upgrade", "Expect",
        "Proxy-Authorization", "Proxy-Connection",
    ]) func fieldsOfTheClientAreRefused(_ name: String) {
        #expect(throws: HTTPClientError(.invalidRequest, .request, "", "")) {
            _ = try text(OutgoingRequest("GET", "/", fields: [(name, "x")]))
        }
    }

    @Test func textsShowNoContent() {
        let request = OutgoingRequest("PUT", "/\(secret)", fields: [("A", secret)], body: Array(secret.utf8))
        var dumped = ""
        dump(request, to: &dumped)
        #expect("\(request)" == "PUT" && !"\(request)\(String(reflecting: request))\(dumped)".contains(secret))
    }
}
