import Testing
import TunnelCore

@Suite struct RequestHeadTests {
    static let post = """
        POST /mcp?session=1 HTTP/1.1\r\nHost: Echo.example.com:443\r\nACCEPT: text/event-stream\r\n\
        Content-Type:application/json\r\nX-Empty:\r\nX-Bytes: \u{E9}\t\u{FF} \r\ncontent-length: 2\r\n\r\n
        """

    @Test func readsAWholeHead() throws {
        let source = Self.post
        let head = try HTTPSamples.request(source)
        func text(_ range: Range<Int>) -> String { HTTPSamples.text(range, of: source) }
        #expect(head.method == .post && text(head.methodRange) == "POST")
        #expect(text(head.target) == "/mcp?session=1" && text(head.path) == "/mcp")
        #expect(text(head.authority) == "Echo.example.com:443")
        #expect(head.minorVersion == 1 && head.framing == .length(2) && head.isPersistent)
        #expect(!head.expectsContinue && !head.isWebSocketUpgrade && head.size == source.unicodeScalars.count)
        #expect(
            head.fields.map { text($0.line) } == [
                "Host: Echo.example.com:443", "ACCEPT: text/event-stream", "Content-Type:application/json", "X-Empty:",
                "X-Bytes: \u{E9}\t\u{FF} ", "content-length: 2",
            ])
        #expect(head.fields.map { text($0.name) }.last == "content-length")
        #expect(head.fields.map { text($0.value) }.suffix(3) == ["", "\u{E9}\t\u{FF}", "2"])
        #expect(head.fields.map(\.id) == [.host, .other, .contentType, .other, .other, .contentLength])
        #expect(head.first(.contentType).map { text($0.value) } == "application/json")
        #expect(head.first(.via) == nil)
    }

    /// Any prefix is "need more", and any two pieces give what the whole gives.
    @Test func splitsMakeNoDifference() throws {
        let all = HTTPSamples.bytes(Self.post)
        let whole = try HTTPSamples.request(Self.post)
        for split in 0..<all.count {
            var head = RequestHead()
            #expect(try head.parse(all.span.extracting(0..<split)) == nil)
            #expect(try head.parse(all.span) == all.count)
            #expect(head.fields == whole.fields && head.framing == whole.framing && head.target == whole.target)
        }
        var drip = RequestHead()
        for end in 0..<all.count { #expect(try drip.parse(all.span.extracting(0..<end)) == nil) }
        #expect(try drip.parse(all.span) == all.count)
        #expect(drip.fields == whole.fields)
    }

    /// What was scanned is not looked at again, or a head that drips in would cost O(n^2).
    @Test func scansEachByteOnce() throws {
        let source = "GET / HTTP/1.1\r\nHost: h\r\nX: a" + String(repeating: "b", count: 50) + "c\r\n\r\n"
        var all = HTTPSamples.bytes(source)
        var head = RequestHead()
        for end in 0..<all.count {
            #expect(try head.parse(all.span.extracting(0..<end)) == nil)
            if end > 0, all[end - 1] == 0x62 { all[end - 1] = 0 }
        }
        #expect(try head.parse(all.span) == all.count)
        #expect(HTTPSamples.requestError(HTTPSamples.text(all))?.reason == "control byte in a head")
    }

    @Test func stopsAtItsEnd() throws {
        let two = HTTPSamples.bytes(Self.post + "xyGET / HTTP/1.1\r\n")
        var head = RequestHead()
        let size = try head.parse(two.span)
        #expect(size == Self.post.unicodeScalars.count)
        #expect(try head.parse(two.span) == size)
    }

    @Test func isReusedAfterReset() throws {
        var head = try HTTPSamples.request(
            "GET / HTTP/1.0\r\nHost: a\r\nConnection: x\r\nX: y\r\nContent-Length: 3\r\n\r\n")
        head.reset()
        #expect(head.fields.isEmpty && head.framing == .none && head.method == .other && !head.isPersistent)
        let source = HTTPSamples.bytes("GET / HTTP/1.1\r\nHost: b\r\n\r\n")
        #expect(try head.parse(source.span) == source.count)
        #expect(head.fields.count == 1 && head.framing == .none && head.isPersistent)
    }

    @Test func staysRefused() throws {
        var head = RequestHead()
        let bad = HTTPSamples.bytes("GET / HTTP/1.1\r\nHost : b\r\nHost: b\r\n\r\n")
        for _ in 0..<2 { #expect(throws: HTTPError.self) { _ = try head.parse(bad.span) } }
        head.reset()
        let good = HTTPSamples.bytes("GET / HTTP/1.1\r\nHost: b\r\n\r\n")
        #expect(try head.parse(good.span) == good.count)
    }

    static let refused: [(source: String, status: UInt16, rule: String)] = [
        // Request line (RFC 9112 §3).
        ("\r\n\r\nGET / HTTP/1.1\r\n", 400, "empty lines"), (" GET / HTTP/1.1\r\n", 400, "invalid method"),
        ("GET\r\n", 400, "invalid method"), ("G(T / HTTP/1.1\r\n", 400, "invalid method"),
        ("GET\t/ HTTP/1.1\r\n", 400, "invalid method"), ("G\u{C9}T / HTTP/1.1\r\n", 400, "invalid method"),
        ("GET  / HTTP/1.1\r\n", 400, "malformed HTTP version"), ("GET /  HTTP/1.1\r\n", 400, "malformed HTTP version"),
        ("GET / HTTP/1.1 \r\n", 400, "malformed HTTP version"), ("GET / \r\n", 400, "malformed HTTP version"),
        ("GET /\r\n", 400, "without a version"), ("GET / a HTTP/1.1\r\n", 400, "malformed HTTP version"),
        ("GET / http/1.1\r\n", 400, "malformed HTTP version"), ("GET / HTTP/11\r\n", 400, "malformed HTTP version"),
        ("GET / HTTP/1.10\r\n", 400, "malformed HTTP version"), ("GET / HTTP/01.1\r\n", 400, "malformed HTTP version"),
        ("GET / HTTP/1,1\r\n", 400, "malformed HTTP version"), ("GET / XTTP/1.1\r\n", 400, "malformed HTTP version"),
        ("GET / HTTP/1.2\r\n", 505, "other than 1.0 and 1.1"), ("GET / HTTP/0.9\r\n", 505, "other than 1.0 and 1.1"),
        ("GET / HTTP/2.0\r\n", 505, "other than 1.0 and 1.1"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "other than 1.0 and 1.1"),
        // Line ends and control bytes (RFC 9112 §2.2), refused before the line is whole.
        ("GET / HTTP/1.1\n", 400, "bare LF"), ("\n", 400, "bare LF"), ("GET / HTTP/1.1\rH", 400, "bare CR"),
        ("GET / HTTP/1.1\r\r", 400, "bare CR"), ("\r\r", 400, "bare CR"),
        ("\u{16}\u{3}\u{1}\u{2}", 400, "control byte"),
        ("GET /\u{0}", 400, "control byte"), ("GET /\u{7F}", 400, "control byte"), ("G\u{8}", 400, "control byte"),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: a\u{0}b", 400, "control byte"),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: a\u{1F}", 400, "control byte"),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: a\u{7F}", 400, "control byte"),
        ("GET / HTTP/1.1\r\nHost: h\r\n\rX", 400, "bare CR"), ("GET / HTTP/1.1\r\nHost: h\r\n\n", 400, "bare LF"),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: a\rb", 400, "bare CR"),
        // Host (RFC 9112 §3.2).
        ("GET / HTTP/1.1\r\n\r\n", 400, "no Host"), ("GET / HTTP/1.1\r\nHosts: h\r\n\r\n", 400, "no Host"),
        ("GET http://h/ HTTP/1.1\r\n\r\n", 400, "no Host"),
        ("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400, "several Host"),
        ("GET / HTTP/1.0\r\nHost: h\r\nhost: i\r\n\r\n", 400, "several Host"),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "invalid Host"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "invalid Host"),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "invalid Host"),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "invalid Host"),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "invalid Host"),
        ("GET / HTTP/1.1\r\nHost: \u{E9}\r\n\r\n", 400, "invalid Host"),
        ("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400, "invalid Host"),
        ("GET / HTTP/1.0\r\nHost:\r\n\r\n", 400, "invalid Host"),
        // Upgrade (RFC 9110 §7.8).
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: a b\r\n\r\n", 400, "invalid Upgrade"),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: a/\r\n\r\n", 400, "invalid Upgrade"),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: /a\r\n\r\n", 400, "invalid Upgrade"),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n", 400,
            "several Upgrade"
        ),
    ]

    @Test(arguments: refused) func refuses(_ row: (source: String, status: UInt16, rule: String)) throws {
        for piece in [nil, 1, 3] {
            let error = try #require(HTTPSamples.requestError(row.source, piece: piece))
            #expect(error.status == row.status)
            #expect(error.reason.contains(row.rule), "\(error)")
        }
    }

    @Test func oneEmptyLineBeforeARequestIsSkipped() throws {
        let source = "\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n"
        let head = try HTTPSamples.request(source)
        #expect(HTTPSamples.text(head.target, of: source) == "/a")
        let bytes = HTTPSamples.bytes(source)
        for end in 0..<bytes.count {
            var head = RequestHead()
            #expect(try head.parse(bytes.span.extracting(0..<end)) == nil)
            #expect(try head.parse(bytes.span) == bytes.count)
        }
    }

    /// At the limit a head is whole; one byte less of a limit refuses it, as soon as that many bytes have come.
    @Test func bytesAreLimited() throws {
        let source = Self.post
        let count = source.unicodeScalars.count
        _ = try HTTPSamples.request(source, limits: HeadLimits(maxBytes: count, maxFields: 200))
        for piece in [nil, 1, 5] {
            let limits = HeadLimits(maxBytes: count - 1, maxFields: 200)
            #expect(HTTPSamples.requestError(source, piece: piece, limits: limits)?.status == 431)
        }
        let endless = "GET /" + String(repeating: "a", count: 95)
        #expect(HTTPSamples.requestError(endless, limits: HeadLimits(maxBytes: 101, maxFields: 1)) == nil)
        #expect(HTTPSamples.requestError(endless, limits: HeadLimits(maxBytes: 100, maxFields: 1))?.status == 431)
    }

    @Test func fieldsAreLimited() throws {
        func source(_ fields: Int) -> String {
            "GET / HTTP/1.1\r\nHost: h\r\n" + String(repeating: "A: b\r\n", count: fields - 1)
        }
        #expect(try HTTPSamples.request(source(200) + "\r\n").fields.count == 200)
        #expect(HTTPSamples.requestError(source(201))?.status == 431)
        #expect(HTTPSamples.requestError(source(201), piece: 1)?.status == 431)
    }

    @Test(arguments: [
        ("HTTP/1.1", "", true), ("HTTP/1.1", "keep-alive", true), ("HTTP/1.1", "close", false),
        ("HTTP/1.1", "Close", false), ("HTTP/1.1", "keep-alive, close", false), ("HTTP/1.1", "x, ,CLOSE,", false),
        ("HTTP/1.1", "closed", true), ("HTTP/1.0", "", false), ("HTTP/1.0", "keep-alive", true),
        ("HTTP/1.0", "Keep-Alive", true), ("HTTP/1.0", "keep-alive, close", false), ("HTTP/1.0", "upgrade", false),
    ]) func persistence(_ version: String, _ connection: String, _ expected: Bool) throws {
        let head = try HTTPSamples.request("GET / \(version)\r\nHost: h\r\nConnection: \(connection)\r\n\r\n")
        #expect(head.isPersistent == expected)
    }

    @Test func olderClientMayLeaveHostOut() throws {
        let plain = try HTTPSamples.request("GET / HTTP/1.0\r\n\r\n")
        #expect(plain.minorVersion == 0 && plain.authority.isEmpty && !plain.isPersistent)
        let source = "GET http://h:1/ HTTP/1.0\r\n\r\n"
        #expect(HTTPSamples.text(try HTTPSamples.request(source).authority, of: source) == "h:1")
    }

    @Test(arguments: [
        ("HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 1\r\n", true),
        ("HTTP/1.1", "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", true),
        ("HTTP/1.1", "Expect: 100-continue\r\n", false),
        ("HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 0\r\n", false),
        ("HTTP/1.1", "Expect: 200-ok\r\nContent-Length: 1\r\n", false),
        ("HTTP/1.0", "Expect: 100-continue\r\nContent-Length: 1\r\n", false),
    ]) func expectation(_ version: String, _ lines: String, _ expected: Bool) throws {
        #expect(try HTTPSamples.request("PUT / \(version)\r\nHost: h\r\n\(lines)\r\n").expectsContinue == expected)
    }

    @Test(
        arguments: [
            ("GET", "HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true),
            ("GET", "HTTP/1.1", "connection: keep-alive, upgrade\r\nupgrade: WebSocket\r\n", true),
            ("GET", "HTTP/1.1", "Connection: upgrade\r\nUpgrade: h2c, websocket\r\n", true),
            ("POST", "HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n", false),
            ("GET", "HTTP/1.1", "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", false),
            ("GET", "HTTP/1.1", "Connection: upgrade\r\nUpgrade: IRC/6.9\r\n", false),
            ("GET", "HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket/13\r\n", false),
            ("GET", "HTTP/1.1", "Upgrade: websocket\r\n", false),
            ("GET", "HTTP/1.1", "Connection: close\r\nUpgrade: web socket\r\n", false),
            ("GET", "HTTP/1.1", "Connection: upgrade\r\n", false),
            ("GET", "HTTP/1.1", "Connection: upgrade\r\nUpgrade: ,\r\n", false),
            ("GET", "HTTP/1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n", false),
        ] as [(String, String, String, Bool)])
    func upgrades(_ method: String, _ version: String, _ lines: String, _ isWebSocket: Bool) throws {
        let head = try HTTPSamples.request("\(method) / \(version)\r\nHost: h\r\n\(lines)\r\n")
        #expect(head.isWebSocketUpgrade == isWebSocket)
    }
}
