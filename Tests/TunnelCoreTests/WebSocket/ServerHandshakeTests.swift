import Testing
import TunnelCore

@Suite struct ServerHandshakeTests {
    private static let fields =
        "Host: a.example:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    private static let start = "GET /mcp?x=1 HTTP/1.1\r\n"

    private static func refusal(_ text: String, _ handshake: ServerHandshake = ServerHandshake())
        -> ServerHandshake.Refusal?
    {
        var handshake = handshake
        do throws(ServerHandshake.Refusal) {
            _ = try handshake.check(Array(text.utf8).span)
            return nil
        } catch {
            return error
        }
    }

    private static func response(_ refusal: ServerHandshake.Refusal) -> String {
        var buffer = ByteBuffer()
        refusal.appendResponse(into: &buffer)
        return String(decoding: buffer.array, as: UTF8.self)
    }

    @Test func request() throws {
        var handshake = ServerHandshake()
        let text = Self.start + Self.fields + "Origin: https://a\r\nX-Id: 1\r\nx-id: 2\r\n\r\n"
        let request = try #require(try handshake.check(Array(text.utf8).span))
        #expect(request.consumed == text.utf8.count)
        #expect(request.path == "/mcp?x=1" && request.host == "a.example:8080")
        #expect(request.values(of: "origin") == ["https://a"] && request.values(of: "X-ID") == ["1", "2"])
        #expect(request.values(of: "cookie").isEmpty)
        #expect(request.fields.count == 8 && request.fields[7] == (name: "x-id", value: "2"))
        #expect(request.subprotocol == nil && request.deflate == nil)
    }

    /// Whatever piece comes first, no more is needed than the head, and what follows it is left alone.
    @Test func everySplit() throws {
        let head = Array((Self.start + Self.fields + "\r\n").utf8)
        let frame: [UInt8] = [0x82, 0x80, 1, 2, 3, 4]
        let all = head + frame
        for cut in all.indices {
            var handshake = ServerHandshake()
            let early = try handshake.check(all.span.extracting(..<cut))
            #expect((early != nil) == (cut >= head.count))
            #expect(try handshake.check(all.span)?.consumed == head.count)
        }
        var handshake = ServerHandshake()
        for count in head.indices { #expect(try handshake.check(all.span.extracting(..<count)) == nil) }
        #expect(try handshake.check(head.span)?.consumed == head.count)
        // Asked again, it says the same.
        #expect(try handshake.check(all.span)?.consumed == head.count)
    }

    @Test func headLimitAllowsNAndRefusesOneMore() throws {
        let room = ServerHandshake.maxRequestHead - (Self.start + Self.fields + "X: \r\n\r\n").utf8.count
        func head(_ count: Int) -> [UInt8] {
            Array((Self.start + Self.fields + "X: \(String(repeating: "x", count: count))\r\n\r\n").utf8)
        }
        var handshake = ServerHandshake()
        #expect(try handshake.check(head(room).span)?.consumed == ServerHandshake.maxRequestHead)
        let long = String(decoding: head(room + 1), as: UTF8.self)
        #expect(Self.refusal(long)?.status == 431)
        // As soon as that is known: no line of it needs to end.
        #expect(Self.refusal(String(long.dropLast(3))) == nil)
        #expect(Self.refusal("GET /" + String(repeating: "x", count: ServerHandshake.maxRequestHead))?.status == 431)
    }

    @Test func fieldLimitAllowsNAndRefusesOneMore() {
        let text = Self.start + Self.fields + "\r\n"
        let handshake = { ServerHandshake(limits: HeadLimits(maxBytes: 1_000, maxFields: $0)) }
        #expect(Self.refusal(text, handshake(5)) == nil)
        #expect(Self.refusal(text, handshake(4))?.status == 431)
    }

    static let refusals: [(head: String, status: UInt16, line: String)] = [
        ("POST / HTTP/1.1\r\n" + fields, 405, "Allow: GET"), ("GET / HTTP/1.0\r\n" + fields, 426, "Upgrade: websocket"),
        ("GET / HTTP/2.0\r\n" + fields, 505, ""), ("GET /\r\n" + fields, 400, ""),
        (start + "Host: a\r\n", 426, "Connection: close, upgrade"),
        (start + fields.replacing(": 13", with: ": 8"), 426, "Sec-WebSocket-Version: 13"),
        (start + fields.replacing("==", with: "="), 400, ""), (start + fields + "Host: b\r\n", 400, ""),
        (start + fields + "Content-Length: 1\r\n", 400, "has no body"),
        (start + fields + "Transfer-Encoding: chunked\r\n", 400, "has no body"),
        (start + fields + "Sec-WebSocket-Protocol: a b\r\n", 400, ""), (start + fields + "X: a\u{0}\r\n", 400, ""),
    ]
    /// Each is one whole response that ends the connection, with what its status has to bring.
    @Test(arguments: refusals) func refuses(_ row: (head: String, status: UInt16, line: String)) throws {
        let refusal = try #require(Self.refusal(row.head + "\r\n"))
        #expect(refusal.status == row.status)
        let text = Self.response(refusal)
        let head = try HTTPSamples.response(String(text.prefix(upTo: text.firstRange(of: "\r\n\r\n")!.upperBound)))
        #expect(head.status == row.status && !head.isPersistent)
        #expect(row.line.isEmpty || text.contains("\(row.line)"), "\(text)")
        #expect(text.hasSuffix("\r\n\r\n\(refusal.reason)\n"))
    }

    @Test func bodyIsLeftOutForHead() throws {
        let refusal = try #require(Self.refusal("HEAD / HTTP/1.1\r\n" + Self.fields + "\r\n"))
        #expect(refusal.status == 405 && Self.response(refusal).hasSuffix("\r\n\r\n"))
        #expect(Self.response(refusal).contains("Content-Length: \(refusal.reason.utf8.count + 1)\r\n"))
    }

    /// A program's own refusal brings its fields, and nothing in them can add a line.
    @Test func refusalOfTheProgram() {
        let refusal = ServerHandshake.Refusal(
            status: 401, reason: "who are you?",
            fields: [("WWW-Authenticate", "Bearer"), ("X", "a\r\nY: 1"), ("Z\n", "1"), ("", "1")])
        #expect(
            Self.response(refusal)
                == "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 13\r\n"
                + "WWW-Authenticate: Bearer\r\nConnection: close\r\n\r\nwho are you?\n")
        #expect(refusal.description == "handshake 401: who are you?")
    }

    @Test(
        arguments: [
            ("", nil), ("b", "b"), ("b, a", "a"), ("c", nil), ("c,b", "b"),
        ] as [(String, String?)])
    func subprotocolIsOurFirst(_ asked: String, _ agreed: String?) throws {
        var handshake = ServerHandshake(subprotocols: ["a", "b"])
        let field = asked.isEmpty ? "" : "Sec-WebSocket-Protocol: \(asked)\r\n"
        let request = try #require(try handshake.check(Array((Self.start + Self.fields + field + "\r\n").utf8).span))
        #expect(request.subprotocol == agreed)
    }

    /// Our client takes the response, with what it asked for, and the fields that the program adds.
    @Test func clientAgrees() throws {
        let client = try ClientHandshake(host: "a.example", subprotocols: ["mcp"], deflate: DeflateParameters())
        var sent = ByteBuffer()
        client.appendRequest(into: &sent)
        var server = ServerHandshake(subprotocols: ["mcp"], deflate: DeflateParameters(clientMaxWindowBits: 10))
        let request = try #require(try server.check(sent.array.span))
        var buffer = ByteBuffer()
        request.appendResponse(fields: [("Set-Cookie", "a=1"), ("Bad", "\r\n")], into: &buffer)
        let text = String(decoding: buffer.array, as: UTF8.self)
        #expect(text.contains("\r\nSet-Cookie: a=1\r\n") && !text.contains("Bad"))
        let response = try #require(try client.check(buffer.array.span))
        #expect(response.consumed == buffer.count && response.subprotocol == "mcp")
        #expect(response.deflate == request.deflate && request.deflate?.clientMaxWindowBits == 10)
    }
}
