import Testing

@testable import TunnelCore

private typealias Pair = HPACKSamples.Pair

/// Header blocks as text: one `name: value` a line, the name up to the first ": ". In Latin-1, so that a row can hold any byte.
enum HTTP2Samples {
    static func block(_ lines: [String]) -> [UInt8] {
        var out = ByteBuffer()
        for line in lines {
            let bytes = HTTPSamples.bytes(line)
            var cut = 1
            while cut + 1 < bytes.count, !(bytes[cut] == 0x3A && bytes[cut + 1] == 0x20) { cut += 1 }
            out.append(0x00)
            out.appendHPACK(string: bytes.span.extracting(0..<cut))
            out.appendHPACK(string: bytes.span.extracting(min(cut + 2, bytes.count)..<bytes.count))
        }
        return out.array
    }

    static func list(_ lines: [String]) -> HPACKFieldList {
        var decoder = HPACKDecoder()
        var list = HPACKFieldList()
        let block = block(lines)
        do throws(HPACKError) { try decoder.decode(block.span, into: &list) } catch { Issue.record("\(error)") }
        return list
    }

    /// The request of a block, with its bytes.
    static func request(
        _ lines: [String], endsStream: Bool = true, connect: Bool = false
    ) throws(HTTPError) -> (head: RequestHead, bytes: [UInt8]) {
        var head = RequestHead()
        var list = list(lines)
        try head.interpret(&list, endsStream: endsStream, allowsConnectProtocol: connect)
        return (head, list.bytes.array)
    }

    static let get = [":method: GET", ":scheme: https", ":authority: example.com", ":path: /mcp?a=1"]
}

@Suite struct HTTP2RequestHeadTests {
    private static func text(_ bytes: [UInt8], _ range: Range<Int>) -> String {
        String(decoding: bytes[range], as: UTF8.self)
    }

    private static func forwarded(_ head: RequestHead, _ bytes: [UInt8], framing: BodyFraming? = nil) -> String {
        var out = ByteBuffer()
        head.appendForwarded(bytes.span, framing: framing ?? head.framing, upgrade: true, into: &out)
        return HTTPSamples.text(out.array)
    }

    @Test func readsARequest() throws {
        let (head, bytes) = try HTTP2Samples.request(
            HTTP2Samples.get + ["accept: text/event-stream", "te: trailers", "user-agent: x"])
        #expect(head.method == .get && Self.text(bytes, head.methodRange) == "GET")
        #expect(Self.text(bytes, head.target) == "/mcp?a=1" && Self.text(bytes, head.path) == "/mcp")
        #expect(Self.text(bytes, head.authority) == "example.com")
        #expect(head.framing == .none && head.targetForm == .origin && head.size == bytes.count)
        #expect(head.fields.map { Self.text(bytes, $0.name) } == ["accept", "te", "user-agent"])
        #expect(head.fields.map(\.isHopByHop) == [false, true, false])
        #expect(
            Self.forwarded(head, bytes)
                == """
                GET /mcp?a=1 HTTP/1.1\r\naccept: text/event-stream\r\nuser-agent: x\r\nHost: example.com\r\n\
                TE: trailers\r\nConnection: TE\r\n\r\n
                """)
    }

    static let framings: [(lines: [String], endsStream: Bool, framing: BodyFraming)] = [
        ([], true, .none), ([], false, .chunked), (["content-length: 5"], false, .length(5)),
        (["content-length: 0"], true, .length(0)), (["content-length: 0"], false, .length(0)),
    ]

    @Test(arguments: framings) func findsTheBody(_ row: (lines: [String], endsStream: Bool, framing: BodyFraming))
        throws
    {
        let (head, _) = try HTTP2Samples.request(HTTP2Samples.get + row.lines, endsStream: row.endsStream)
        #expect(head.framing == row.framing)
    }

    /// RFC 9113 §8.2.3: crumbs are one field in HTTP/1.1, and what lay among them stays as it was.
    @Test func joinsCrumbs() throws {
        let (head, bytes) = try HTTP2Samples.request(
            HTTP2Samples.get + ["cookie: a=1", "accept: x", "cookie: b=2", "cookie: c=3", "x-a: y"])
        #expect(
            Self.forwarded(head, bytes)
                == "GET /mcp?a=1 HTTP/1.1\r\naccept: x\r\nx-a: y\r\ncookie: a=1; b=2; c=3\r\nHost: example.com\r\n\r\n")
        #expect(head.fields.map(\.id) == [.other, .other, .cookie])
        let (one, oneBytes) = try HTTP2Samples.request(HTTP2Samples.get + ["cookie: a=1", "x-a: y"])
        #expect(
            Self.forwarded(one, oneBytes)
                == "GET /mcp?a=1 HTTP/1.1\r\ncookie: a=1\r\nx-a: y\r\nHost: example.com\r\n\r\n")
    }

    /// RFC 9113 §8.3.1: Host may stand beside `:authority` if it says the same, or in its place.
    @Test func takesHost() throws {
        let (both, bytes) = try HTTP2Samples.request(HTTP2Samples.get + ["host: EXAMPLE.com"])
        #expect(Self.forwarded(both, bytes) == "GET /mcp?a=1 HTTP/1.1\r\nhost: EXAMPLE.com\r\n\r\n")
        let (alone, other) = try HTTP2Samples.request(
            [":method: GET", ":scheme: https", ":path: /", "host: a.example:80"])
        #expect(Self.text(other, alone.authority) == "a.example:80")
    }

    @Test func readsOtherTargets() throws {
        let (options, _) = try HTTP2Samples.request(
            [":method: OPTIONS", ":scheme: https", ":authority: h", ":path: *"])
        #expect(options.method == .options && options.targetForm == .asterisk)
        let (connect, bytes) = try HTTP2Samples.request([":method: CONNECT", ":authority: h:80"])
        #expect(connect.method == .connect && connect.targetForm == .authority && !connect.isWebSocketUpgrade)
        #expect(Self.text(bytes, connect.target) == "h:80")
    }

    /// RFC 8441 §5: an extended CONNECT for WebSocket is the GET of HTTP/1.1, but for its key.
    @Test func bridgesWebSocket() throws {
        let lines = [
            ":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: h", ":path: /chat",
            "sec-websocket-version: 13",
        ]
        let (head, bytes) = try HTTP2Samples.request(lines, endsStream: false, connect: true)
        #expect(head.isWebSocketUpgrade && head.method == .get && Self.text(bytes, head.connectProtocol) == "websocket")
        #expect(
            Self.forwarded(head, bytes, framing: BodyFraming.none)
                == """
                GET /chat HTTP/1.1\r\nsec-websocket-version: 13\r\nHost: h\r\nUpgrade: websocket\r\n\
                Connection: upgrade\r\n\r\n
                """)
        #expect(throws: HTTPError.badMessage("")) { try HTTP2Samples.request(lines, endsStream: false) }
        let (other, _) = try HTTP2Samples.request(
            [lines[0], ":protocol: connect-udp", lines[2], lines[3], lines[4]], connect: true)
        #expect(!other.isWebSocketUpgrade && other.method == .connect && !other.connectProtocol.isEmpty)
    }

    static func with(_ lines: String...) -> [String] { HTTP2Samples.get + lines }
    static func replacing(_ index: Int, _ line: String?) -> [String] {
        var lines = HTTP2Samples.get
        lines.remove(at: index)
        if let line { lines.insert(line, at: index) }
        return lines
    }

    /// What is malformed (RFC 9113 §8.1.1), by the section that says so.
    static let malformed: [(section: String, lines: [String])] = [
        ("8.2.1 capital letter", with("Accept: x")), ("8.2.1 capital letter", with("x-A: x")),
        ("8.2.1 space in a name", with("a b: x")), ("8.2.1 colon in a name", with("a:b: x")),
        ("8.2.1 DEL in a name", with("a\u{7f}: x")), ("8.2.1 high byte in a name", with("a\u{80}: x")),
        ("8.2.1 NUL in a value", with("a: x\u{0}y")), ("8.2.1 CR in a value", with("a: x\ry")),
        ("8.2.1 LF in a value", with("a: x\ny")), ("8.2.1 CRLF in a value", with("a: x\r\nhost: evil")),
        ("8.2.1 space before a value", with("a:  x")), ("8.2.1 tab behind a value", with("a: x\t")),
        ("8.2.1 CR in :path", replacing(3, ":path: /\r\nx: y")), ("8.2.1 space in :path", replacing(3, ":path: /a b")),
        ("8.2.1 LF in :authority", replacing(2, ":authority: h\nx")),
        ("8.2.1 space in :method", replacing(0, ":method: GET / HTTP/1.1")),
        ("8.2.2 Connection", with("connection: close")), ("8.2.2 Keep-Alive", with("keep-alive: timeout=5")),
        ("8.2.2 Proxy-Connection", with("proxy-connection: keep-alive")),
        ("8.2.2 Transfer-Encoding", with("transfer-encoding: chunked")), ("8.2.2 Upgrade", with("upgrade: h2c")),
        ("8.2.2 TE other than trailers", with("te: gzip")), ("8.2.2 TE with more", with("te: trailers, gzip")),
        ("8.3 unknown pseudo-header", with(":x: y")), ("8.3 unknown pseudo-header", replacing(3, ":pathx: /")),
        ("8.3 :status in a request", replacing(0, ":status: 200")), ("8.3 :status too", with(":status: 200")),
        ("8.3 behind a field", [HTTP2Samples.get[0], "a: b"] + HTTP2Samples.get[1...]),
        ("8.3 twice", HTTP2Samples.get + [":path: /"]), ("8.3 :method twice", [":method: GET"] + HTTP2Samples.get),
        ("8.3.1 no :method", replacing(0, nil)), ("8.3.1 empty :method", replacing(0, ":method: ")),
        ("8.3.1 no :scheme", replacing(1, nil)), ("8.3.1 other :scheme", replacing(1, ":scheme: ftp")),
        ("8.3.1 empty :scheme", replacing(1, ":scheme: ")),
        ("8.3.1 no :path", replacing(3, nil)), ("8.3.1 empty :path", replacing(3, ":path: ")),
        ("8.3.1 no slash", replacing(3, ":path: a")), ("8.3.1 absolute", replacing(3, ":path: http://h/")),
        ("8.3.1 * without OPTIONS", replacing(3, ":path: *")), ("8.3.1 fragment", replacing(3, ":path: /#a")),
        ("8.3.1 user information", replacing(2, ":authority: a@h")),
        ("8.3.1 empty :authority", replacing(2, ":authority: ")), ("8.3.1 two hosts", replacing(2, ":authority: a, b")),
        ("8.3.1 no authority", replacing(2, nil)), ("8.3.1 Host differs", with("host: other.com")),
        ("8.3.1 two Host", with("host: example.com", "host: example.com")),
        ("8.3.1 empty Host", replacing(2, nil) + ["host: "]),
        ("8.5 CONNECT with :path", replacing(0, ":method: CONNECT")),
        ("8.5 CONNECT without port", [":method: CONNECT", ":authority: h"]),
        ("8.5 CONNECT without :authority", [":method: CONNECT"]),
        ("8441 4 :protocol without CONNECT", with() + [":protocol: websocket"]),
        ("8441 4 without :path", [":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: h"]),
        ("8.1.1 length and no body", with("content-length: 1")),
        ("8.1.1 two lengths", with("content-length: 0", "content-length: 0")),
        ("8.1.1 no number", with("content-length: +0")), ("8.1.1 no number", with("content-length: ")),
        ("8.1.1 no number", with("content-length: 99999999999999999999")),
    ]

    @Test(arguments: malformed) func refuses(_ row: (section: String, lines: [String])) {
        var status: UInt16?
        do throws(HTTPError) { _ = try HTTP2Samples.request(row.lines, connect: true) } catch { status = error.status }
        #expect(status == 400, "\(row.section): \(row.lines)")
    }

    /// Memory goes round between the list and the head.
    @Test func keepsItsMemory() throws {
        var head = RequestHead()
        var bytes = ByteBuffer()
        for path in ["/a", "/b"] {
            var list = HTTP2Samples.list(HTTP2Samples.get.dropLast() + [":path: \(path)", "x-a: b"])
            try head.interpret(&list, endsStream: true)
            list.exchangeBytes(with: &bytes)
            #expect(Self.text(bytes.array, head.path) == path && head.fields.count == 1 && list.bytes.isEmpty)
        }
    }
}

@Suite struct HTTP2ResponseHeadTests {
    private static func response(
        _ lines: [String], endsStream: Bool = false, to method: TunnelCore.Method = .get
    ) throws(HTTPError) -> ResponseHead {
        var head = ResponseHead()
        var list = HTTP2Samples.list(lines)
        try head.interpret(&list, endsStream: endsStream, requestMethod: method)
        return head
    }

    @Test func readsAResponse() throws {
        let stream = try Self.response([":status: 200", "content-type: text/event-stream"])
        #expect(stream.status == 200 && stream.isEventStream && stream.framing == .chunked && stream.fields.count == 1)
        #expect(try Self.response([":status: 200", "content-length: 7"]).framing == .length(7))
        #expect(try Self.response([":status: 200", "content-length: 7"], endsStream: true, to: .head).framing == .none)
        #expect(try Self.response([":status: 304", "content-length: 7"], endsStream: true).framing == .none)
        #expect(try Self.response([":status: 200"], endsStream: true).framing == .length(0))
        #expect(try Self.response([":status: 103", "link: x"]).isInformational)
    }

    @Test(arguments: [
        [], ["a: b"], [":status: 2000"], [":status: 20"], [":status: 2x0"], [":status: 099"], [":status: 600"],
        [":status: 101"], [":status: 200", ":status: 200"], [":status: 200", ":path: /"], [":path: /"],
        [":status: 200", "connection: close"], [":status: 200", "A: b"], ["a: b", ":status: 200"],
        [":status: 200", "content-length: x"], [":status: 100", "content-length: 4"],
    ]) func refuses(_ lines: [String]) {
        #expect(throws: HTTPError.badMessage("")) { try Self.response(lines) }
    }

    @Test func refusesAnEndTooEarly() {
        #expect(throws: HTTPError.badMessage("")) { try Self.response([":status: 103"], endsStream: true) }
        #expect(throws: HTTPError.badMessage("")) {
            try Self.response([":status: 200", "content-length: 1"], endsStream: true)
        }
    }

    /// Trailers as those of HTTP/1: what means something only ahead of the body is dropped.
    @Test func keepsTrailers() throws {
        var list = HTTP2Samples.list(["x-a: 1", "content-length: 5", "te: trailers", "x-b: 2", "host: h", "x-c: 3"])
        try list.keepTrailers()
        #expect(String(decoding: list.bytes.array, as: UTF8.self) == "x-a: 1\r\nx-b: 2\r\nx-c: 3\r\n")
        for bad in [":path: /", "connection: x", "A: b", "a: b\u{0}", "transfer-encoding: chunked"] {
            var list = HTTP2Samples.list(["x-a: 1", bad])
            var isRefused = false
            do throws(HTTPError) { try list.keepTrailers() } catch { isRefused = true }
            #expect(isRefused, "\(bad)")
        }
    }
}
