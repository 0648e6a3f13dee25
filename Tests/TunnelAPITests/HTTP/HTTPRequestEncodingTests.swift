import Testing
import TunnelCore

@testable import TunnelAPI

@Suite struct HTTPRequestEncodingTests {
    private static func request(
        _ method: String, _ target: String, fields: [HTTPField] = [], body: [UInt8]? = nil
    ) throws -> HTTPRequest {
        HTTPRequest(method, try ServiceURL("https://api.example/base/"), target, fields: fields, body: body)
    }

    private func text(_ request: HTTPRequest) throws -> String {
        String(decoding: try request.encoded().array, as: UTF8.self)
    }

    @Test func isWrittenInOnePiece() throws {
        let fields = [HTTPField("A", "b c\t"), HTTPField("B", ""), HTTPField("accept", "*/*")]
        let request = try Self.request("POST", "/v1/x?a=%20", fields: fields, body: [0x68, 0x69])
        #expect(
            try text(request) == "POST /base/v1/x?a=%20 HTTP/1.1\r\nHost: api.example\r\nA: b c\t\r\nB: \r\n"
                + "accept: */*\r\nUser-Agent: mcp-tunnel/\(TunnelAPIVersion.current)\r\nContent-Length: 2\r\n\r\nhi")
    }

    static let lengths: [(method: String, body: [UInt8]?, isSaid: Bool)] = [
        ("GET", nil, false), ("DELETE", nil, false), ("POST", nil, true), ("PUT", nil, true), ("PATCH", nil, true),
        ("GET", [], true),
    ]

    @Test(arguments: lengths) func anEmptyBodyIsSaidWhereOneIsExpected(
        _ row: (method: String, body: [UInt8]?, isSaid: Bool)
    ) throws {
        #expect(
            try text(Self.request(row.method, "/", body: row.body)).contains("Content-Length: 0\r\n") == row.isSaid)
    }

    static let refused: [(method: String, target: String, field: String?)] = [
        ("", "/", nil), ("GET /", "/", nil), ("G\r\n", "/", nil), ("GÉT", "/", nil), ("CONNECT", "/", nil),
        ("GET", "", nil), ("GET", "x", nil), ("GET", "*", nil), ("GET", "http://other.example/", nil),
        ("GET", "/a b", nil), ("GET", "/a\r\nX: y", nil), ("GET", "/a\u{0}", nil), ("GET", "/a#b", nil),
        ("GET", "/\u{E9}", nil), ("GET", "/\u{7F}", nil),
        ("GET", "/", ""), ("GET", "/", "A:"), ("GET", "/", "A "), ("GET", "/", "A\r\nB"), ("GET", "/", "\u{E9}"),
    ]

    @Test(arguments: refused.indices) func aPartThatWouldBreakTheHeadIsRefused(_ index: Int) {
        let row = Self.refused[index]
        #expect(throws: TransportError(.invalidRequest, "")) {
            _ = try text(
                Self.request(row.method, row.target, fields: row.field.map { [HTTPField($0, "x")] } ?? []))
        }
    }

    @Test(arguments: ["a\r\nB: c", "a\n", "\r", "\u{0}", "a\u{7F}", "\u{1B}[1m"])
    func aValueWithAControlCharacterIsRefusedWithoutBeingShown(_ tail: String) throws {
        let request = try Self.request("GET", "/", fields: [HTTPField("X-Key", secret + tail)])
        let error = try #require(throws: TransportError.self) { _ = try text(request) }
        #expect("\(error)".contains("X-Key") && !"\(error)".contains(secret))
    }

    /// Each of them would say in another way where the message ends, or what becomes of the connection.
    @Test(arguments: [
        "Host", "content-length", "Transfer-Encoding", "CONNECTION", "Keep-Alive", "TE", "Trailer", "Upgrade", "Expect",
        "Authorization", "Proxy-Authorization", "Proxy-Connection",
    ]) func fieldsOfTheClientAreRefused(_ name: String) {
        #expect(throws: TransportError(.invalidRequest, "")) {
            _ = try text(Self.request("GET", "/", fields: [HTTPField(name, "x")]))
        }
    }
}
