import Testing
import TunnelCore

@Suite struct ResponseForwardTests {
    private func forward(
        _ source: String, to method: Method = .get, framing: BodyFraming? = nil,
        connection: ConnectionRule = .keepAlive,
        version: UInt8 = 1, extraLines: String = ""
    ) throws -> String {
        let head = try HTTPSamples.response(source, to: method)
        var out = ByteBuffer()
        head.appendForwarded(
            HTTPSamples.bytes(source).span, framing: framing ?? head.framing(forMinorVersion: version),
            connection: connection, clientMinorVersion: version, extraLines: HTTPSamples.bytes(extraLines), into: &out)
        return HTTPSamples.text(out.array)
    }

    @Test func passesEverythingElseByteForByte() throws {
        let source = """
            HTTP/1.1 404 N\u{F6}t  Found \r\nserver:x\r\nSet-Cookie: a=1\r\nset-cookie:  b="2" \r\nX: \u{80}\r\n\
            WWW-Authenticate: Bearer\r\nMcp-Session-Id: 1\r\nContent-length:  7\r\nRetry-After: 1\r\nDate:\r\n\r\n
            """
        #expect(try forward(source) == source)
        #expect(try forward(source, to: .head) == source)
    }

    static let start = "HTTP/1.1 200 OK\r\n"

    @Test(arguments: [Method.get, .head]) func lengthLosesItsZeros(_ method: Method) throws {
        let result = try forward("HTTP/1.1 200 OK\r\nA: 1\r\nContent-length:010\r\nB: 2\r\n\r\n", to: method)
        #expect(result == Self.start + "A: 1\r\nContent-length: 10\r\nB: 2\r\n\r\n")
    }

    @Test(arguments: [
        ("Connection: close, x\r\nX: 1\r\nA: 1\r\nContent-Length: 1\r\n", "A: 1\r\nContent-Length: 1\r\n"),
        (
            "Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nUpgrade: h2\r\nContent-Length: 1\r\n",
            "Content-Length: 1\r\n"
        ),
        ("Proxy-Authenticate: x\r\nContent-Length: 1\r\n", "Content-Length: 1\r\n"),
        (
            "Transfer-Encoding: CHUNKED\r\nTrailer: t\r\nA: 1\r\n",
            "Trailer: t\r\nA: 1\r\nTransfer-Encoding: chunked\r\n"
        ),
        ("A: 1\r\n", "A: 1\r\nTransfer-Encoding: chunked\r\n"),
        ("Trailer: t\r\nContent-Length: 1\r\n", "Content-Length: 1\r\n"),
    ]) func toHTTP11(_ lines: String, _ expected: String) throws {
        #expect(try forward("HTTP/1.1 200 OK\r\n\(lines)\r\n") == Self.start + expected + "\r\n")
    }

    @Test(
        arguments: [
            ("Content-Length: 1\r\n", .keepAlive, "Content-Length: 1\r\nConnection: keep-alive\r\n"),
            ("Content-Length: 1\r\n", .close, "Content-Length: 1\r\nConnection: close\r\n"),
            ("Transfer-Encoding: chunked\r\nTrailer: t\r\n", .keepAlive, "Connection: close\r\n"),
            ("", .keepAlive, "Connection: close\r\n"),
        ] as [(String, ConnectionRule, String)])
    func toHTTP10(_ lines: String, _ connection: ConnectionRule, _ expected: String) throws {
        let result = try forward("HTTP/1.1 200 OK\r\n\(lines)\r\n", connection: connection, version: 0)
        #expect(result == Self.start + expected + "\r\n")
    }

    @Test(
        arguments: [
            (
                "HTTP/1.0 200\r\nContent-Length: 1\r\n", .close,
                "HTTP/1.1 200 \r\nContent-Length: 1\r\nConnection: close\r\n"
            ),
            ("HTTP/1.1 100 Continue\r\nConnection: x\r\n", .close, "HTTP/1.1 100 Continue\r\n"),
            ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n", .keepAlive, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n"),
            ("HTTP/1.1 204 x\r\nContent-Length: 0\r\nA: 1\r\n", .keepAlive, "HTTP/1.1 204 x\r\nA: 1\r\n"),
            ("HTTP/1.1 304 x\r\nContent-Length: 9\r\n", .keepAlive, "HTTP/1.1 304 x\r\nContent-Length: 9\r\n"),
            ("HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n", .keepAlive, "HTTP/1.1 304 x\r\n"),
            (
                "HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: websocket\r\nSec-WebSocket-Accept: a\r\n", .upgrade,
                "HTTP/1.1 101 x\r\nupgrade: websocket\r\nSec-WebSocket-Accept: a\r\nConnection: upgrade\r\n"
            ),
            (
                "HTTP/1.1 426 x\r\nUpgrade: websocket\r\nContent-Length: 0\r\n", .keepAlive,
                "HTTP/1.1 426 x\r\nUpgrade: websocket\r\nContent-Length: 0\r\nConnection: upgrade\r\n"
            ),
            (
                "HTTP/1.1 426 x\r\nUpgrade: websocket\r\nContent-Length: 0\r\n", .close,
                "HTTP/1.1 426 x\r\nUpgrade: websocket\r\nContent-Length: 0\r\nConnection: close, upgrade\r\n"
            ),
            ("HTTP/1.1 426 x\r\nContent-Length: 0\r\n", .keepAlive, "HTTP/1.1 426 x\r\nContent-Length: 0\r\n"),
        ] as [(String, ConnectionRule, String)])
    func statuses(_ source: String, _ connection: ConnectionRule, _ expected: String) throws {
        #expect(try forward(source + "\r\n", connection: connection) == expected + "\r\n")
    }

    @Test func reframes() throws {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(try forward(chunked, framing: .length(3)) == Self.start + "Content-Length: 3\r\n\r\n")
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
        #expect(try forward(length, framing: .chunked) == Self.start + "Transfer-Encoding: chunked\r\n\r\n")
        #expect(try forward(length, framing: .untilClose) == Self.start + "Connection: close\r\n\r\n")
        #expect(try forward(length, extraLines: "X: 1\r\n") == Self.start + "Content-Length: 3\r\nX: 1\r\n\r\n")
    }

    @Test func framingForTheClient() throws {
        let chunked = try HTTPSamples.response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        #expect(chunked.framing(forMinorVersion: 1) == .chunked && chunked.framing(forMinorVersion: 0) == .untilClose)
        let open = try HTTPSamples.response("HTTP/1.1 200 OK\r\n\r\n")
        #expect(open.framing(forMinorVersion: 1) == .chunked && open.framing(forMinorVersion: 0) == .untilClose)
        let length = try HTTPSamples.response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        #expect(length.framing(forMinorVersion: 0) == .length(2))
        let none = try HTTPSamples.response("HTTP/1.1 204 x\r\n\r\n")
        #expect(none.framing(forMinorVersion: 0) == .none)
    }
}
