import Testing
import TunnelCore

@Suite struct RequestForwardTests {
    private func forward(
        _ source: String, host: HostRule = .preserve, framing: BodyFraming? = nil, upgrade: Bool = false,
        forwarded: ForwardedFields? = nil, extraLines: String = ""
    ) throws -> String {
        let head = try HTTPSamples.request(source)
        var out = ByteBuffer()
        head.appendForwarded(
            HTTPSamples.bytes(source).span, host: host, framing: framing ?? head.framing, upgrade: upgrade,
            forwarded: forwarded, extraLines: HTTPSamples.bytes(extraLines), into: &out)
        return HTTPSamples.text(out.array)
    }

    @Test func passesEverythingElseByteForByte() throws {
        let source = """
            PROPFIND /a//b/%7e?q=%20&&x="<>" HTTP/1.1\r\nhOsT:h:8080\r\nX-Odd:   \t two  spaces \t\r\naccept:*/*\r\n\
            ACCEPT: text/html\r\nX-Bytes: \u{80}\u{FF}\r\nX-Empty:\r\nCookie: a=b; c="d"\r\nX_Under: 1\r\nVia: 1.1 x\r\n\
            Forwarded: for=x\r\nX-Forwarded-For: 1.2.3.4\r\ncontent-LENGTH:  5 \r\nExpect: 100-continue\r\n\r\n
            """
        #expect(try forward(source) == source)
    }

    @Test(arguments: [
        ("Connection: close, x-a\r\nA: 1\r\nX-A: 2\r\nKeep-Alive: 3\r\nB: 4\r\n", "A: 1\r\nB: 4\r\n"),
        ("A: 1\r\nProxy-Authorization: x\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n"),
        ("Upgrade: websocket\r\nConnection: upgrade\r\n", ""),
        ("TE: gzip\r\n", ""), ("TE: trailers, gzip;q=1\r\nA: 1\r\n", "A: 1\r\nTE: trailers\r\nConnection: TE\r\n"),
        ("Trailer: x\r\nContent-Length: 1\r\n", "Content-Length: 1\r\n"),
        (
            "Transfer-Encoding: Chunked\r\nTrailer: x\r\nA: 1\r\n",
            "Trailer: x\r\nA: 1\r\nTransfer-Encoding: chunked\r\n"
        ),
    ]) func dropsHopByHop(_ lines: String, _ expected: String) throws {
        let result = try forward("POST / HTTP/1.1\r\nHost: h\r\n\(lines)\r\n")
        #expect(result == "POST / HTTP/1.1\r\nHost: h\r\n\(expected)\r\n")
    }

    @Test(arguments: [
        ("GET http://h/a?b HTTP/1.1", "GET /a?b HTTP/1.1"), ("GET http://h HTTP/1.1", "GET / HTTP/1.1"),
        ("GET http://h?b HTTP/1.1", "GET /?b HTTP/1.1"), ("OPTIONS http://h HTTP/1.1", "OPTIONS * HTTP/1.1"),
        ("OPTIONS http://h/ HTTP/1.1", "OPTIONS / HTTP/1.1"), ("OPTIONS http://h?b HTTP/1.1", "OPTIONS /?b HTTP/1.1"),
        ("OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1"), ("\r\nGET / HTTP/1.0", "GET / HTTP/1.1"),
    ]) func requestLines(_ line: String, _ expected: String) throws {
        #expect(try forward("\(line)\r\nHost: h\r\n\r\n") == "\(expected)\r\nHost: h\r\n\r\n")
    }

    @Test func hostRules() throws {
        let source = "GET / HTTP/1.1\r\nA: 1\r\nHOST:h\r\nB: 2\r\n\r\n"
        #expect(
            try forward(source, host: .replace(Array("up:80".utf8)))
                == "GET / HTTP/1.1\r\nA: 1\r\nHOST: up:80\r\nB: 2\r\n\r\n")
        let old = "GET http://h:1/ HTTP/1.0\r\nA: 1\r\n\r\n"
        #expect(try forward(old) == "GET / HTTP/1.1\r\nA: 1\r\nHost: h:1\r\n\r\n")
        #expect(try forward(old, host: .replace([0x75])) == "GET / HTTP/1.1\r\nA: 1\r\nHost: u\r\n\r\n")
    }

    @Test func reframes() throws {
        let length = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 05\r\nA: 1\r\n\r\n"
        let start = "POST / HTTP/1.1\r\nHost: h\r\n"
        #expect(try forward(length, framing: .chunked) == start + "A: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
        #expect(try forward(length, framing: .untilClose) == start + "A: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
        #expect(try forward(length, framing: .length(7)) == start + "A: 1\r\nContent-Length: 7\r\n\r\n")
        #expect(try forward(length, framing: BodyFraming.none) == start + "A: 1\r\n\r\n")
        let chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: t\r\n\r\n"
        #expect(try forward(chunked, framing: .length(0)) == start + "Content-Length: 0\r\n\r\n")
    }

    @Test func passesAnUpgradeOn() throws {
        let source =
            "GET / HTTP/1.1\r\nHost: h\r\nupgrade: WebSocket\r\nConnection: x, Upgrade\r\nX: 1\r\nSec-WebSocket-Key: k\r\n"
        let expected = "GET / HTTP/1.1\r\nHost: h\r\nupgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n"
        #expect(try forward(source + "\r\n", upgrade: true) == expected + "Connection: upgrade\r\n\r\n")
        #expect(
            try forward(source + "TE: trailers\r\n\r\n", upgrade: true)
                == expected + "TE: trailers\r\nConnection: upgrade, TE\r\n\r\n")
        let plain = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n"
        #expect(try forward(plain, upgrade: true) == "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    }

    /// Only WebSocket is asked for, whatever the client offers: h2c would carry requests past the routes.
    @Test(arguments: [
        ("GET", "h2c", ""), ("GET", "h2c, chat/1", ""), ("GET", "TLS/1.0", ""), ("POST", "websocket", ""),
        ("GET", "h2c, WebSocket", "Upgrade: websocket\r\nConnection: upgrade\r\n"),
        ("GET", "websocket,", "Upgrade: websocket\r\nConnection: upgrade\r\n"),
    ]) func dropsOtherUpgrades(_ method: String, _ value: String, _ expected: String) throws {
        let source =
            "\(method) / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: \(value)\r\n"
            + "HTTP2-Settings: A\r\nA: 1\r\n\r\n"
        let plain = "\(method) / HTTP/1.1\r\nHost: h\r\nA: 1\r\n"
        #expect(try forward(source, upgrade: true) == plain + expected + "\r\n")
        #expect(try forward(source, upgrade: false) == plain + "\r\n")
    }

    @Test(arguments: [
        ("010", "10"), ("0", "0"), ("00", "0"), ("0000000000000000000000007", "7"), ("70", "70"), ("100", "100"),
    ]) func lengthLosesItsZeros(_ length: String, _ expected: String) throws {
        let result = try forward("POST / HTTP/1.1\r\nA: 1\r\nHost: h\r\ncontent-LENGTH:  \(length)\r\nB: 2\r\n\r\n")
        let line = length == expected ? "content-LENGTH:  \(length)" : "content-LENGTH: \(expected)"
        #expect(result == "POST / HTTP/1.1\r\nA: 1\r\nHost: h\r\n\(line)\r\nB: 2\r\n\r\n")
    }

    @Test func olderClientHasNoExpectationsOrTrailers() throws {
        let source = "PUT / HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nTE: trailers\r\nContent-Length: 1\r\n\r\n"
        #expect(try forward(source) == "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n")
    }

    @Test func extraLinesComeLast() throws {
        let source = "GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n"
        #expect(
            try forward(source, extraLines: "X: 1\r\n")
                == "GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\nX: 1\r\n\r\n")
    }

    /// CGI and WSGI make one name of X-Api-Key and X_Api_Key, so a client's line by either goes.
    @Test(arguments: ["X-Api-Key", "x-api-key", "X_Api_Key", "x_api-key", "X-API_KEY"])
    func otherNamesAreLeftOut(_ name: String) throws {
        let source = "GET / HTTP/1.1\r\nHost: h\r\n\(name): forged\r\nX-Api-Keys: a\r\nX-Api-Kez: b\r\n\r\n"
        let head = try HTTPSamples.request(source)
        var out = ByteBuffer()
        head.appendForwarded(
            HTTPSamples.bytes(source).span, host: .preserve, framing: .none, upgrade: false, forwarded: nil,
            replacing: FieldNames(), others: [Array("x-api-key".utf8)],
            with: HTTPSamples.bytes("X-Api-Key: ours\r\n").span,
            into: &out)
        let expected = "GET / HTTP/1.1\r\nHost: h\r\nX-Api-Keys: a\r\nX-Api-Kez: b\r\nX-Api-Key: ours\r\n\r\n"
        #expect(HTTPSamples.text(out.array) == expected)
    }

    /// Bytes already in the buffer stay, as for pipelined requests.
    @Test func appends() throws {
        let source = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        let head = try HTTPSamples.request(source)
        var out = ByteBuffer()
        for _ in 0..<2 { head.appendForwarded(HTTPSamples.bytes(source).span, framing: .none, into: &out) }
        #expect(HTTPSamples.text(out.array) == source + source)
    }
}
