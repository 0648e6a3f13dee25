import TunnelTestSupport
import Testing
import TunnelCore
import TunnelIO

@testable import TunnelAPI

/// What is read as a response, and what is not.
@Suite struct HTTPCallResponseTests {
    static let responses: [(text: String, body: String)] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX-T: 1\r\n\r\n",
            "hello"
        ),
        ("HTTP/1.1 200 OK\r\n\r\nhello", "hello"),
        ("HTTP/1.0 200 OK\r\n\r\nhello", "hello"),
        ("HTTP/1.1 404\r\nContent-Length: 2\r\n\r\nno", "no"),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ""),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello", "hello"),
    ]

    @Test(arguments: responses) func readsAWholeResponse(_ row: (text: String, body: String)) throws {
        let server = try ScriptedServer { peer in try peer.answer(row.text) }
        #expect(try bodyText(server.plain) == row.body)
        #expect(server.isDone())
    }

    @Test(arguments: responses) func readsAResponseByteByByte(_ row: (text: String, body: String)) throws {
        let server = try ScriptedServer { peer in
            _ = try peer.receiveHead()
            for byte in row.text.utf8 { peer.send([byte]) }
        }
        #expect(try bodyText(server.plain) == row.body)
        #expect(server.isDone())
    }

    @Test func aResponseToHeadHasNoBody() throws {
        let server = try ScriptedServer { peer in
            try peer.answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            _ = peer.isAtEnd()
        }
        #expect(try bodyText(server.plain, "HEAD") == "")
        #expect(server.isDone())
    }

    @Test(arguments: [
        "nonsense\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "\u{16}\u{3}\u{1}",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ]) func garbageIsMalformed(_ text: String) throws {
        let server = try ScriptedServer { peer in
            try peer.answer(text)
            _ = peer.isAtEnd()
        }
        let error = try failure(server.plain)
        #expect(error == failed(.malformed, .response, received: true))
        #expect(server.isDone())
    }

    @Test(arguments: [
        "", "H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
    ]) func anEndWithinTheResponseIsAnError(_ text: String) throws {
        let server = try ScriptedServer { peer in try peer.answer(text) }
        let error = try failure(server.plain)
        #expect(error == failed(.closed, .response, received: true))
        #expect("\(error)" == "read the response of \(server.address): the connection ended before the response did")
        #expect(server.isDone())
    }

    /// RFC 9112 §9.8: without close_notify a response that ends with the connection may have been cut short.
    @Test(arguments: [true, false]) func aBodyUntilCloseNeedsCloseNotifyInTLS(_ isWhole: Bool) throws {
        let server = try ScriptedServer { peer in
            let tls = try TLSPeer(peer)
            try tls.answer("HTTP/1.1 200 OK\r\n\r\nhello")
            if isWhole { tls.close() } else { peer.shutDown() }
            _ = peer.isAtEnd()
        }
        if isWhole {
            #expect(try bodyText(server.secure, tls: TestTLS.client()) == "hello")
        } else {
            let error = try failure(server.secure, tls: TestTLS.client())
            #expect(error == failed(.closed, .response, received: true))
        }
        #expect(server.isDone())
    }

    // MARK: Limits

    /// One body of five bytes in each framing.
    static let framings = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n1\r\no\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello",
    ]

    @Test(arguments: framings, [4, 5]) func aBodyOverTheLimitIsRefused(_ text: String, _ limit: Int) throws {
        let server = try ScriptedServer { peer in try peer.answer(text) }
        if limit == 5 {
            #expect(try bodyText(server.plain, limit: limit) == "hello")
        } else {
            let error = try failure(server.plain, limit: limit)
            #expect(error == failed(.tooLarge, .response, received: true))
        }
        #expect(server.isDone())
    }

    /// The length is refused before the body comes.
    @Test func anAnnouncedLengthOverTheLimitIsRefusedAtOnce() throws {
        let server = try ScriptedServer { peer in
            try peer.answer("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n")
            if !peer.isAtEnd() { throw TestError("still open") }
        }
        #expect(try failure(server.plain).code == .tooLarge)
        #expect(server.isDone())
    }

    /// Nothing of the chunk ever comes: whoever waits for it waits for the time-out, three times.
    @Test(arguments: ["5", "6", "7FFFFFFFFFFFFFFF"]) func aChunkThatWouldPassTheLimitIsRefusedAtOnce(
        _ size: String
    ) throws {
        let server = try ScriptedServer { peer in
            try peer.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n\(size)\r\n")
            if size == "5" { peer.send("hello\r\n0\r\n\r\n") }
            if !peer.isAtEnd() { throw TestError("still open") }
        }
        if size == "5" {
            #expect(try bodyText(server.plain, limit: 6) == "ahello")
        } else {
            #expect(try failure(server.plain, limit: 6) == failed(.tooLarge, .response, received: true))
        }
        #expect(server.isDone())
    }

    @Test(arguments: [0, 1]) func aHeadOverTheLimitIsRefused(_ excess: Int) throws {
        let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: \r\n\r\n"
        let filler = String(repeating: "a", count: HeadLimits().maxBytes - empty.utf8.count + excess)
        let server = try ScriptedServer { peer in
            try peer.answer(empty.replacing("X: ", with: "X: \(filler)"))
            _ = peer.isAtEnd()
        }
        if excess == 0 {
            #expect(try bodyText(server.plain) == "")
        } else {
            #expect(try failure(server.plain).code == .malformed)
        }
        #expect(server.isDone())
    }

    @Test(arguments: [0, 1]) func aFloodOfInterimResponsesIsRefused(_ excess: Int) throws {
        let server = try ScriptedServer { peer in
            _ = try peer.receiveHead()
            for _ in 0..<8 + excess { peer.send("HTTP/1.1 102 Processing\r\n\r\n") }
            peer.send(okay())
            _ = peer.isAtEnd()
        }
        if excess == 0 {
            #expect(try bodyText(server.plain) == "ok")
        } else {
            #expect(try failure(server.plain).code == .malformed)
        }
        #expect(server.isDone())
    }
}
