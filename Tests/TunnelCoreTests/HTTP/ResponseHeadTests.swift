import Testing
import TunnelCore

@Suite struct ResponseHeadTests {
    static let answer = """
        HTTP/1.1 200 Very \u{E9} OK\r\nServer: s\r\nContent-Type: text/event-stream; charset=utf-8\r\n\
        Transfer-Encoding: chunked\r\nX:\r\n\r\n
        """

    @Test func readsAWholeHead() throws {
        let head = try HTTPSamples.response(Self.answer)
        #expect(head.status == 200 && HTTPSamples.text(head.reason, of: Self.answer) == "Very \u{E9} OK")
        #expect(head.minorVersion == 1 && head.framing == .chunked && head.isPersistent && head.isEventStream)
        #expect(head.fields.map(\.id) == [.other, .contentType, .transferEncoding, .other])
        #expect(!head.isInformational && head.first(.contentType) != nil)
    }

    @Test func splitsMakeNoDifference() throws {
        let all = HTTPSamples.bytes(Self.answer)
        let whole = try HTTPSamples.response(Self.answer)
        for split in 0..<all.count {
            var head = ResponseHead()
            #expect(try head.parse(all.span.extracting(0..<split), requestMethod: .get) == nil)
            #expect(try head.parse(all.span, requestMethod: .get) == all.count)
            #expect(head.fields == whole.fields && head.framing == whole.framing && head.reason == whole.reason)
        }
        var drip = ResponseHead()
        for end in 0..<all.count { #expect(try drip.parse(all.span.extracting(0..<end), requestMethod: .get) == nil) }
        #expect(try drip.parse(all.span, requestMethod: .get) == all.count)
        #expect(try drip.parse(all.span, requestMethod: .get) == all.count)
    }

    @Test(
        arguments: [
            ("HTTP/1.1 200 OK", 200, "OK"), ("HTTP/1.1 200 ", 200, ""), ("HTTP/1.1 200", 200, ""),
            ("HTTP/1.1 200  \tx ", 200, " \tx "), ("HTTP/1.0 404 Not Found", 404, "Not Found"),
            ("HTTP/1.1 100 Continue", 100, "Continue"), ("HTTP/1.1 599 x", 599, "x"),
        ] as [(String, UInt16, String)])
    func statusLines(_ line: String, _ status: UInt16, _ reason: String) throws {
        let head = try HTTPSamples.response(line + "\r\n\r\n")
        #expect(head.status == status && HTTPSamples.text(head.reason, of: line) == reason)
    }

    @Test(
        arguments: [
            ("\r\nHTTP/1.1 200 OK\r\n", 400, "version"), ("HTTP/1.1  200 OK\r\n", 400, "status line"),
            ("HTTP/1.1 20 OK\r\n", 400, "status line"), ("HTTP/1.1 2000 OK\r\n", 400, "status line"),
            ("HTTP/1.1 2x0 OK\r\n", 400, "status line"), ("HTTP/1.1 +20 OK\r\n", 400, "status line"),
            ("HTTP/1.1 099 OK\r\n", 400, "status line"), ("HTTP/1.1 600 OK\r\n", 400, "status line"),
            ("HTTP/1.1 999 OK\r\n", 400, "status line"), ("HTTP/1.1 200\tOK\r\n", 400, "status line"),
            ("HTTP/1.1\r\n", 400, "status line"), ("HTTP/1.1 \r\n", 400, "status line"),
            ("HTTP/1.1200 OK\r\n", 400, "status line"),
            ("HTTP/2.0 200 OK\r\n", 505, "version"), ("HTTP/1.2 200 OK\r\n", 505, "version"),
            ("ICY 200 OK\r\n", 400, "version"),
            ("http/1.1 200 OK\r\n", 400, "version"), ("HTTP/1.1 200 O\u{0}\r\n", 400, "control"),
            ("HTTP/1.1 200 OK\n", 400, "bare LF"),
            ("HTTP/1.1 204 x\r\nContent-Length: 1\r\n\r\n", 400, "204 with a body"),
            ("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "204 with a body"),
            ("HTTP/1.1 100 x\r\nContent-Length: 1\r\n\r\n", 400, "100 with a body"),
            ("HTTP/1.1 101 x\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "101 with a body"),
        ] as [(String, UInt16, String)])
    func refuses(_ source: String, _ status: UInt16, _ rule: String) throws {
        for piece in [nil, 1] {
            let error = try #require(HTTPSamples.responseError(source, piece: piece))
            #expect(error.status == status)
            #expect(error.reason.contains(rule), "\(error)")
        }
    }

    /// RFC 9112 §6.3, in its order.
    @Test(
        arguments: [
            (.head, "200", "Content-Length: 5\r\n", .none), (.head, "200", "Transfer-Encoding: chunked\r\n", .none),
            (.head, "200", "", .none), (.get, "304", "Content-Length: 5\r\n", .none),
            (.get, "304", "Transfer-Encoding: chunked\r\n", .none), (.get, "204", "", .none),
            (.get, "204", "Content-Length: 0\r\n", .none), (.get, "100", "", .none), (.get, "103", "", .none),
            (.get, "101", "", .none), (.get, "200", "", .untilClose),
            (.get, "200", "Content-Length: 0\r\n", .length(0)),
            (.post, "500", "Content-Length: 5\r\n", .length(5)),
            (.get, "200", "Transfer-Encoding: chunked\r\n", .chunked),
        ] as [(Method, String, String, BodyFraming)])
    func framing(_ method: Method, _ status: String, _ lines: String, _ framing: BodyFraming) throws {
        #expect(try HTTPSamples.response("HTTP/1.1 \(status) x\r\n\(lines)\r\n", to: method).framing == framing)
    }

    @Test(arguments: [
        ("HTTP/1.1", "Content-Length: 0\r\n", true), ("HTTP/1.1", "Content-Length: 0\r\nConnection: close\r\n", false),
        ("HTTP/1.1", "", false), ("HTTP/1.1", "Connection: keep-alive\r\n", false),
        ("HTTP/1.0", "Content-Length: 0\r\n", false),
        ("HTTP/1.0", "Content-Length: 0\r\nConnection: keep-alive\r\n", true),
    ]) func persistence(_ version: String, _ lines: String, _ expected: Bool) throws {
        #expect(try HTTPSamples.response("\(version) 200 x\r\n\(lines)\r\n").isPersistent == expected)
    }

    @Test(arguments: [("100", true), ("103", true), ("199", true), ("101", false), ("200", false), ("404", false)])
    func informational(_ status: String, _ expected: Bool) throws {
        #expect(try HTTPSamples.response("HTTP/1.1 \(status) x\r\n\r\n").isInformational == expected)
    }

    @Test(arguments: [
        ("text/event-stream", true), ("Text/Event-Stream ; charset=utf-8", true), ("text/event-stream;", true),
        ("text/event-streams", false), ("application/json", false), ("", false), (";text/event-stream", false),
    ]) func eventStream(_ type: String, _ expected: Bool) throws {
        #expect(try HTTPSamples.response("HTTP/1.1 200 x\r\nContent-Type: \(type)\r\n\r\n").isEventStream == expected)
    }

    @Test(arguments: [
        ("101", "Upgrade: websocket\r\nConnection: Upgrade\r\n", true),
        ("101", "UPGRADE:WebSocket\r\nconnection: x, upgrade\r\n", true),
        ("101", "Connection: upgrade\r\n", false), ("101", "Connection: upgrade\r\nUpgrade:\r\n", false),
        ("101", "Connection: upgrade\r\nUpgrade: h2c\r\n", false),
        ("101", "Connection: upgrade\r\nUpgrade: websocket/13\r\n", false),
        ("101", "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n", false),
        ("101", "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", false),
        ("101", "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n", false),
        ("101", "Upgrade: websocket\r\n", false), ("101", "", false),
        ("200", "Content-Length: 0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n", false),
    ]) func switchesToWebSocket(_ status: String, _ lines: String, _ expected: Bool) throws {
        #expect(try HTTPSamples.response("HTTP/1.1 \(status) x\r\n\(lines)\r\n").switchesToWebSocket == expected)
    }

    @Test(
        arguments: [
            ("", nil), ("Keep-Alive: timeout=5\r\n", 5), ("keep-alive: max=100, Timeout = 75\r\n", 75),
            ("Keep-Alive: timeout=0\r\n", 0), ("Keep-Alive: timeout=60, timeout=5, timeout=8\r\n", 5),
            ("Keep-Alive: timeout=60\r\nKeep-Alive: timeout=7\r\n", 7), ("Keep-Alive: timeout\r\n", nil),
            ("Keep-Alive: timeout=\r\n", nil), ("Keep-Alive: timeout=-1\r\n", nil),
            ("Keep-Alive: timeout=5s\r\n", nil), ("Keep-Alive: timeouts=5\r\n", nil), ("Keep-Alive: 5\r\n", nil),
            ("Keep-Alive: timeout=x, timeout=9\r\n", 9), ("X-Keep-Alive: timeout=5\r\n", nil),
            ("Keep-Alive: timeout=99999999999999999999999999\r\n", 1 << 30),
        ] as [(String, Int?)]) func keepAliveTimeout(_ lines: String, _ expected: Int?) throws
    {
        #expect(try HTTPSamples.response("HTTP/1.1 200 x\r\n\(lines)\r\n").keepAliveTimeout == expected)
    }

    /// What was scanned is not looked at again, or a head that drips in would cost O(n^2).
    @Test func scansEachByteOnce() throws {
        let source = "HTTP/1.1 200 OK\r\nX: a" + String(repeating: "b", count: 50) + "c\r\nY: 1\r\n\r\n"
        var all = HTTPSamples.bytes(source)
        var head = ResponseHead()
        for end in 0..<all.count {
            #expect(try head.parse(all.span.extracting(0..<end), requestMethod: .get) == nil && head.size == nil)
            if end > 0, all[end - 1] == 0x62 { all[end - 1] = 0 }
        }
        #expect(try head.parse(all.span, requestMethod: .get) == all.count && head.size == all.count)
        #expect(HTTPSamples.responseError(HTTPSamples.text(all))?.reason == "control byte in a head")
    }

    @Test func limits() throws {
        let count = Self.answer.unicodeScalars.count
        _ = try HTTPSamples.response(Self.answer, limits: HeadLimits(maxBytes: count, maxFields: 4))
        let short = HeadLimits(maxBytes: count - 1, maxFields: 4), few = HeadLimits(maxBytes: count, maxFields: 3)
        #expect(HTTPSamples.responseError(Self.answer, limits: short)?.status == 431)
        #expect(HTTPSamples.responseError(Self.answer, limits: few)?.status == 431)
    }

    @Test func isReusedAfterReset() throws {
        var head = try HTTPSamples.response(
            "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nKeep-Alive: timeout=1\r\n\r\n")
        head.reset()
        let answer = HTTPSamples.bytes(Self.answer)
        #expect(try head.parse(answer.span, requestMethod: .get) == answer.count)
        head.reset()
        let source = HTTPSamples.bytes("HTTP/1.0 404 x\r\nContent-Length: 1\r\n\r\n")
        #expect(try head.parse(source.span, requestMethod: .get) == source.count)
        #expect(head.status == 404 && head.fields.count == 1 && !head.isEventStream && head.framing == .length(1))
        #expect(!head.switchesToWebSocket && head.keepAliveTimeout == nil)
    }
}
