import Testing
import TunnelCore

@Suite struct ClientHandshakeTests {
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    private static let start = "HTTP/1.1 101 Switching Protocols\r\n"
    private static let fields =
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

    private static func client(
        subprotocols: [String] = [], deflate: DeflateParameters? = nil
    ) throws(WebSocketError) -> ClientHandshake {
        try ClientHandshake(host: "a.example", subprotocols: subprotocols, deflate: deflate, key: key)
    }

    private static func check(
        _ client: ClientHandshake, _ text: String
    ) throws(WebSocketError) -> ClientHandshake.Response? {
        try client.check(Array(text.utf8).span)
    }

    @Test func request() throws {
        let client = try ClientHandshake(
            host: "a.example:8080", path: "/mcp?x=1", subprotocols: ["a", "b"], deflate: DeflateParameters(),
            headers: [("Authorization", "Bearer t")], key: Self.key)
        var buffer = ByteBuffer()
        client.appendRequest(into: &buffer)
        #expect(
            String(decoding: buffer.array, as: UTF8.self)
                == "GET /mcp?x=1 HTTP/1.1\r\nHost: a.example:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Key: \(Self.key)\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, b\r\n"
                + "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
                + "Authorization: Bearer t\r\n\r\n")
    }

    @Test func refusesWhatCannotBeSent() {
        let makers: [() throws -> ClientHandshake] = [
            { try ClientHandshake(host: "") }, { try ClientHandshake(host: "a\r\nX: y") },
            { try ClientHandshake(host: "a", path: "") }, { try ClientHandshake(host: "a", path: "x") },
            { try ClientHandshake(host: "a", path: "/ HTTP/1.1") }, { try ClientHandshake(host: "a", key: "k") },
            { try ClientHandshake(host: "a", subprotocols: ["a b"]) },
            { try ClientHandshake(host: "a", headers: [("X y", "z")]) },
            { try ClientHandshake(host: "a", headers: [("X", "z\nY: 1")]) },
        ]
        for make in makers { #expect(throws: WebSocketError(code: .policyViolation, reason: "")) { _ = try make() } }
    }

    /// Any prefix needs more; the head's length is returned and what follows is left alone.
    @Test func everySplit() throws {
        let client = try Self.client()
        let head = Array((Self.start + Self.fields + "Date: today\r\n\r\n").utf8)
        for count in head.indices { #expect(try client.check(Array(head[..<count]).span) == nil) }
        #expect(try client.check(head.span)?.consumed == head.count)
        #expect(try client.check((head + [0x82, 0x00]).span)?.consumed == head.count)
    }

    @Test func caseDoesNotMatter() throws {
        let text =
            "HTTP/1.1 101\r\nUPGRADE: WebSocket\r\nconnection:keep-alive, upgrade\t\r\n"
            + "sec-websocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n\r\n"
        #expect(try Self.check(try Self.client(), text)?.consumed == text.utf8.count)
    }

    static let refusals: [(head: String, code: CloseCode)] = [
        ("HTTP/1.1 200 OK\r\n" + fields, .protocolError), ("HTTP/1.1 403 Forbidden\r\n", .protocolError),
        ("HTTP/1.0 101 Switching\r\n" + fields, .protocolError), ("HTTP/1.1 1010 x\r\n" + fields, .protocolError),
        ("HTTP/1.1 10x Switching\r\n" + fields, .protocolError), ("SSH-2.0-x\r\n", .protocolError),
        (" HTTP/1.1 101 x\r\n" + fields, .protocolError), ("HTTP/1.1 101 x\n" + fields, .protocolError),
        ("\r\n" + start + fields, .protocolError),
        (start + fields.replacing("Upgrade: websocket\r\n", with: "Upgrade: websocket, h2c\r\n"), .protocolError),
        (start, .protocolError),
        (start + fields.replacing("Upgrade: websocket\r\n", with: ""), .protocolError),
        (start + fields.replacing("Upgrade: websocket\r\n", with: "Upgrade: h2c\r\n"), .protocolError),
        (start + fields.replacing("Connection: Upgrade\r\n", with: "Connection: close\r\n"), .protocolError),
        (start + fields.replacing("s3pP", with: "S3pP"), .protocolError),
        (start + fields + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", .protocolError),
        (start + fields + "Sec-WebSocket-Protocol: other\r\n", .protocolError),
        (start + fields + "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n", .protocolError),
        (start + fields + "Sec-WebSocket-Extensions: permessage-deflate\r\n", .mandatoryExtension),
        (start + fields + "Sec-WebSocket-Extensions: ;\r\n", .protocolError),
        (start + fields + "no colon\r\n", .protocolError), (start + fields + ": no name\r\n", .protocolError),
        (start + fields + "Space : x\r\n", .protocolError), (start + fields + " folded: x\r\n", .protocolError),
        (start + fields + "X: a\u{0}\r\n", .protocolError), (start + fields + "X: a\rb\r\n", .protocolError),
        (start + fields + "X: a\nY: b\r\n", .protocolError),
    ]
    @Test(arguments: refusals) func refuses(_ row: (head: String, code: CloseCode)) {
        #expect(throws: WebSocketError(code: row.code, reason: "")) {
            _ = try Self.check(try Self.client(subprotocols: ["a", "b"]), row.head + "\r\n")
        }
    }

    /// Who looks for the reason finds the server's word.
    @Test(arguments: [200, 403, 503]) func aRefusalIsNamedByItsStatus(_ status: Int) throws {
        let error = #expect(throws: WebSocketError.self) {
            _ = try Self.check(try Self.client(), "HTTP/1.1 \(status) x\r\n\r\n")
        }
        #expect(error?.reason == "handshake response with status \(status)")
    }

    @Test func agreement() throws {
        let client = try Self.client(subprotocols: ["a", "b"], deflate: DeflateParameters())
        let text =
            Self.start + Self.fields
            + "Sec-WebSocket-Protocol: b\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n\r\n"
        let response = try #require(try Self.check(client, text))
        #expect(response.subprotocol == "b" && response.deflate == DeflateParameters(serverMaxWindowBits: 9))
    }

    @Test func headLimitAllowsNAndRefusesOneMore() throws {
        let client = try Self.client()
        let room = ClientHandshake.maxResponseHead - (Self.start + Self.fields + "X: \r\n\r\n").utf8.count
        func head(_ count: Int) -> String {
            Self.start + Self.fields + "X: \(String(repeating: "x", count: count))\r\n\r\n"
        }
        #expect(try Self.check(client, head(room))?.consumed == ClientHandshake.maxResponseHead)
        #expect(throws: WebSocketError(code: .messageTooBig, reason: "")) { _ = try Self.check(client, head(room + 1)) }
        #expect(try Self.check(client, String(head(room).dropLast(1))) == nil)
    }

    /// Our client and our server understand each other.
    @Test func bothSides() throws {
        let client = try Self.client(subprotocols: ["mcp"], deflate: DeflateParameters(clientMaxWindowBits: 11))
        var sent = ByteBuffer()
        client.appendRequest(into: &sent)
        let bytes = sent.array
        let head = try HTTPSamples.request(HTTPSamples.text(bytes))
        let request = UpgradeRequest(head, in: bytes.span)
        #expect(request.method == "GET" && request.httpMinorVersion == 1)
        #expect(request.connection == ["Upgrade"] && request.upgrade == ["websocket"])
        #expect(request.version == ["13"] && request.key == [Self.key] && request.protocols == ["mcp"])
        #expect(request.extensions == [DeflateParameters(clientMaxWindowBits: 11).offer()])
        guard case .upgrade(let accepted) = request.evaluate(subprotocol: "mcp", deflate: DeflateParameters()) else {
            Issue.record("rejected")
            return
        }
        var buffer = ByteBuffer()
        accepted.appendResponse(into: &buffer)
        let response = try #require(try client.check(buffer.array.span))
        #expect(response.consumed == buffer.count && response.subprotocol == "mcp")
        #expect(response.deflate == accepted.deflate)
    }
}
