import Testing

@testable import TunnelCore

/// A request of HTTP/1.1, or of HTTP/2, on its way to an upstream by HTTP/2.
@Suite struct HTTP2ForwardedRequestTests {
    @Test(arguments: [
        ("GET /a?b HTTP/1.1\r\nHost: x.test\r\nAccept: */*\r\n", "GET", "/a?b", "accept: */*"),
        ("OPTIONS * HTTP/1.1\r\nHost: x.test\r\n", "OPTIONS", "*", ""),
        ("GET http://x.test HTTP/1.1\r\nHost: x.test\r\n", "GET", "/", ""),
        ("MY-METHOD / HTTP/1.1\r\nhost: x.test\r\nX-CASE: Aa\r\n", "MY-METHOD", "/", "x-case: Aa"),
        (
            "GET / HTTP/1.1\r\nHost: x.test\r\nConnection: X-A, keep-alive\r\nX-A: 1\r\nKeep-Alive: 5\r\nX-B: 2\r\n",
            "GET",
            "/", "x-b: 2"
        ),
        ("GET / HTTP/1.1\r\nHost: x.test\r\nConnection: TE\r\nTE: gzip, trailers\r\n", "GET", "/", "te: trailers"),
        (
            "GET / HTTP/1.1\r\nHost: x.test\r\nTE: gzip\r\nProxy: http://evil\r\nUpgrade: h2c\r\nConnection: upgrade\r\n",
            "GET", "/", ""
        ),
        ("POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 003\r\n", "POST", "/", "content-length: 3"),
        ("POST / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\nTrailer: a\r\n", "POST", "/", "trailer: a"),
    ]) func whatGoesOn(head: String, method: String, path: String, fields: String) throws {
        let sent = try send(head)
        #expect(sent.pseudo == [":method: \(method)", ":scheme: https", ":authority: x.test", ":path: \(path)"])
        #expect(sent.fields.joined(separator: ", ") == fields)
    }

    @Test func theHostThatIsConfigured() throws {
        let sent = try send("GET / HTTP/1.1\r\nHost: x.test\r\n", host: .replace(Array("up.test:8443".utf8)))
        #expect(sent.pseudo.contains(":authority: up.test:8443"))
    }

    @Test func whatIsSaidOfTheClient() throws {
        let sent = try send(
            "GET / HTTP/1.1\r\nHost: x.test\r\nX-Forwarded-Host: evil\r\n",
            forwarded: ForwardedFields(clientAddress: [], isSecure: true, extent: .hostAndProto))
        #expect(sent.fields == ["x-forwarded-host: x.test", "x-forwarded-proto: https"])
    }

    @Test func aWebSocket() throws {
        let sent = try send(
            "GET /ws HTTP/1.1\r\nHost: x.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", asWebSocket: true)
        #expect(
            sent.pseudo == [
                ":method: CONNECT", ":scheme: https", ":authority: x.test", ":path: /ws", ":protocol: websocket",
            ])
        #expect(sent.fields == ["sec-websocket-version: 13"])
    }

    @Test func whatMustNeverBeIndexedStaysSo() throws {
        var encoder = HPACKEncoder()
        var block = ByteBuffer()
        let lines: [(String, String, HPACKIndexing)] = [
            (":method", "GET", .automatic), (":scheme", "https", .automatic), (":path", "/", .automatic),
            (":authority", "x.test", .automatic), ("x-mine", "1", .never), ("x-other", "2", .automatic),
        ]
        encoder.begin(into: &block)
        for (name, value, indexing) in lines {
            encoder.encode(name: Array(name.utf8).span, value: Array(value.utf8).span, indexing: indexing, into: &block)
        }
        var decoder = HPACKDecoder(limits: HPACKLimits())
        var list = HPACKFieldList()
        try block.withBytes { bytes throws(HPACKError) in try decoder.decode(bytes, into: &list) }
        var head = RequestHead()
        try head.interpret(&list, endsStream: true)
        let sent = try list.bytes.withBytes { bytes in try Sent(head, bytes, .preserve, nil, false) }
        #expect(sent.fields == ["x-mine: 1", "x-other: 2"])
        #expect(sent.neverIndexed == ["x-mine"])
    }

    @Test func noMoreThanThePeerTakes() throws {
        var client = HTTP2Connection(isServer: false, now: 0)
        #expect(client.freeStreams > 1_000_000 && client.maxOwnStreams == nil)
        var settings = ByteBuffer()
        var entry = ByteBuffer()
        HTTP2Setting.maxConcurrentStreams.append(2, to: &entry)
        HTTP2FrameHeader(.settings, stream: 0, length: entry.count).append(to: &settings)
        entry.withBytes { settings.append($0) }
        var position = 0
        _ = try settings.withBytes { bytes in try client.receive(bytes, at: &position, now: 0) }
        #expect(client.freeStreams == 2 && client.maxOwnStreams == 2)
        var head = RequestHead()
        let text = Array("GET / HTTP/1.1\r\nHost: x.test\r\n\r\n".utf8)
        _ = try head.parse(text.span)
        var ids: [UInt32?] = []
        for _ in 0..<3 {
            ids.append(
                client.sendRequest(
                    http1: text.span, scheme: "http", asWebSocket: false, endsStream: true, from: head, text.span))
        }
        #expect(ids == [1, 3, nil])
        client.release(1)
        #expect(client.freeStreams == 1)
    }

    // MARK: Support

    private func send(
        _ text: String, host: HostRule = .preserve, forwarded: ForwardedFields? = nil, asWebSocket: Bool = false
    ) throws -> Sent {
        let bytes = Array((text + "\r\n").utf8)
        var head = RequestHead()
        _ = try head.parse(bytes.span)
        return try Sent(head, bytes.span, host, forwarded, asWebSocket)
    }

    /// What a server's decoder gets.
    private struct Sent {
        var pseudo: [String] = []
        var fields: [String] = []
        var neverIndexed: [String] = []

        init(
            _ head: RequestHead, _ bytes: Span<UInt8>, _ host: HostRule, _ forwarded: ForwardedFields?,
            _ asWebSocket: Bool
        ) throws {
            var client = HTTP2Connection(isServer: false, now: 0)
            var out = ByteBuffer()
            client.drainControl(into: &out)
            out.removeAll()
            var text = ByteBuffer()
            head.appendForwarded(
                bytes, host: host, framing: head.framing, upgrade: asWebSocket, forwarded: forwarded, into: &text)
            let id = text.withBytes {
                client.sendRequest(
                    http1: $0, scheme: "https", asWebSocket: asWebSocket, endsStream: false, from: head, bytes)
            }
            #expect(id == 1)
            client.drainControl(into: &out)
            out.consume(HTTP2FrameHeader.size)
            var decoder = HPACKDecoder(limits: HPACKLimits())
            var list = HPACKFieldList()
            try out.withBytes { block throws(HPACKError) in try decoder.decode(block, into: &list) }
            list.bytes.withBytes { lines in
                for field in list.fields {
                    let name = lines.extracting(field.name).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
                    let value = lines.extracting(field.value).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
                    let line = "\(name): \(value)"
                    if name.hasPrefix(":") { pseudo.append(line) } else { fields.append(line) }
                    if field.isNeverIndexed { neverIndexed.append(name) }
                }
            }
        }
    }
}
