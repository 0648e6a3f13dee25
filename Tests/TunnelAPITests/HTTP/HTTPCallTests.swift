import TunnelTestSupport
import Testing
import TunnelCore
import TunnelIO
import TunnelTLS

@testable import TunnelAPI

/// How a request fails, at each stage on its way.
@Suite(.serialized) struct HTTPCallTests {
    private static let short = Duration.milliseconds(100)

    /// A call that its deadline ends, with more time where a busy machine has not let it come to the stage that it is about.
    ///
    /// - Parameter call: makes it, with a server of its own.
    private func overdue(
        _ expected: ExpectedFailure, _ call: (Duration) throws -> (TransportError, ScriptedServer)
    ) throws {
        var time = Self.short
        while true {
            let (error, server) = try call(time)
            if error == expected || time > .seconds(5) {
                #expect(error == expected)
                #expect(server.isDone())
                return
            }
            time *= 4
        }
    }

    /// RFC 6761 §6.4: no name ends in `.invalid`. Without a name server the lookup fails in another way.
    @Test func anUnknownNameIsTold() throws {
        let endpoint = HTTPEndpoint(isSecure: true, host: "nowhere.invalid", port: 443)
        let error = try failure(endpoint, tls: TestTLS.client())
        #expect(error == failed(.nameNotFound, .lookup))
        #expect("\(error)".hasPrefix("look up nowhere.invalid: "))
    }

    @Test func aSilentNameServerIsATimeOut() throws {
        let gate = ThreadSignal()
        NameService.shared.standIn(for: "silent.invalid") { _ in
            _ = gate.wait(seconds: 20)
            return .failure(IOError(.timedOut, "lookup"))
        }
        defer { gate.post() }
        let endpoint = HTTPEndpoint(isSecure: true, host: "silent.invalid", port: 443)
        let error = try failure(endpoint, tls: TestTLS.client(), timeout: Self.short)
        #expect(error == failed(.timedOut, .lookup))
    }

    @Test func aRefusedConnectionIsTold() throws {
        let address = try Listener(.loopback(0), isShared: false).address
        let error = try failure(HTTPEndpoint(isSecure: false, host: "127.0.0.1", port: address.port))
        #expect(error == failed(.connect, .connect))
        #expect("\(error)" == "connect to \(address): connection refused")
    }

    @Test func aSilentAddressIsATimeOut() throws {
        let full = try FullListener()
        let endpoint = HTTPEndpoint(isSecure: false, host: "127.0.0.1", port: full.port)
        let error = try failure(endpoint, timeout: Self.short)
        #expect(error == failed(.timedOut, .connect))
        #expect("\(error)" == "connect to 127.0.0.1:\(full.port): timed out after 0.1 seconds")
    }

    /// Whatever the name leads to, a secret does not leave the machine in plain.
    @Test(arguments: ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"])
    func aPlainRequestGoesToThisMachineOnly(_ host: String) throws {
        let error = try failure(HTTPEndpoint(isSecure: false, host: host, port: 80))
        #expect(error == failed(.connect, .connect))
        #expect("\(error)".hasSuffix("not an address of this machine, which secrets do not leave in plain"))
    }

    // MARK: TLS

    @Test func aRequestGoesInsideTLS() throws {
        let server = try ScriptedServer { peer in
            let tls = try TLSPeer(peer)
            try tls.answer(okay("inside"))
            _ = try? tls.receive(exactly: 1)
        }
        #expect(try bodyText(server.secure, tls: TestTLS.client()) == "inside")
        #expect(server.isDone())
    }

    @Test func aCertificateForAnotherNameIsRefused() throws {
        let server = try ScriptedServer { peer in
            if (try? TLSPeer(peer).receive(exactly: 1)) != nil { throw TestError("data came") }
        }
        let error = try failure(
            HTTPEndpoint(isSecure: true, host: "127.0.0.1", port: server.port), tls: TestTLS.client())
        #expect(error == failed(.tls, .handshake))
        #expect("\(error)".hasPrefix("TLS handshake with \(server.address): "))
        #expect(server.isDone())
    }

    @Test func garbageInsteadOfTLSIsTold() throws {
        let server = try ScriptedServer { peer in
            peer.send("HTTP/1.1 400 Bad Request\r\n\r\n")
            _ = peer.isAtEnd()
        }
        #expect(try failure(server.secure, tls: TestTLS.client()) == failed(.tls, .handshake))
        #expect(server.isDone())
    }

    @Test func aServerThatGoesInTheHandshakeIsTold() throws {
        let server = try ScriptedServer { peer in
            peer.shutDown(); _ = peer.isAtEnd()
        }
        #expect(try failure(server.secure, tls: TestTLS.client()) == failed(.tls, .handshake))
        #expect(server.isDone())
    }

    @Test func silenceInTheHandshakeIsATimeOut() throws {
        try overdue(failed(.timedOut, .handshake)) { time in
            let server = try ScriptedServer { peer in _ = peer.isAtEnd() }
            return (try failure(server.secure, tls: TestTLS.client(), timeout: time), server)
        }
    }

    @Test func withoutAnchorsNothingIsSent() throws {
        let server = try ScriptedServer { peer in
            if peer.receive()?.isEmpty == false { throw TestError("bytes came") }
        }
        #expect(try failure(server.secure) == failed(.tls, .handshake))
        #expect(server.isDone())
    }

    // MARK: The exchange

    /// A new connection that ends without a word: the request may have been acted on, and is not sent again.
    @Test(arguments: [true, false]) func anEndBehindTheRequestIsTold(_ isReset: Bool) throws {
        let server = try ScriptedServer { peer in
            _ = try peer.receiveHead()
            if isReset { peer.reset() }
        }
        let error = try failure(server.plain)
        #expect(error == failed(.closed, .response, received: true))
        #expect(server.isDone())
    }

    @Test func silenceInsteadOfAnAnswerIsATimeOut() throws {
        try overdue(failed(.timedOut, .response, received: true)) { time in
            let server = try ScriptedServer { peer in
                _ = try peer.receiveHead()
                _ = peer.isAtEnd()
            }
            return (try failure(server.plain, timeout: time), server)
        }
    }

    /// Every byte in time, and yet the deadline for all of it holds.
    @Test(arguments: ["HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\n\r\n"])
    func aSlowDripIsATimeOut(_ start: String) throws {
        try overdue(failed(.timedOut, .response, received: true)) { time in
            let server = try ScriptedServer { peer in
                try peer.answer(start)
                let pace = ThreadSignal()
                while peer.send(Array("a".utf8)) { _ = pace.wait(milliseconds: 1) }
            }
            return (try failure(server.plain, timeout: time), server)
        }
    }

    /// More than the kernel's buffers take, to a server that does not read: the last byte cannot have left.
    private static let upload = [UInt8](repeating: 0x61, count: 32 << 20)

    @Test func aRequestThatCannotLeaveHasNotBeenReceived() throws {
        try overdue(failed(.timedOut, .send)) { time in
            let gate = ThreadSignal()
            let server = try ScriptedServer { peer in
                _ = try peer.receiveHead()
                _ = gate.wait(seconds: 20)
            }
            defer { gate.post() }
            return (try failure(server.plain, "POST", body: Self.upload, timeout: time), server)
        }
    }

    /// The same, taken whole, without a response.
    @Test func aLongRequestThatLeftMayHaveBeenReceived() throws {
        let server = try ScriptedServer { peer in
            _ = try peer.receiveHead()
            if peer.receive(exactly: Self.upload.count).count < Self.upload.count { throw TestError("cut short") }
        }
        let error = try failure(server.plain, "POST", body: Self.upload)
        #expect(error == failed(.closed, .response, received: true))
        #expect(server.isDone())
    }

    @Test func aServerThatGoesDuringTheRequestHasNotReceivedIt() throws {
        let server = try ScriptedServer { peer in
            _ = try peer.receiveHead()
            peer.reset()
        }
        #expect(try failure(server.plain, "POST", body: Self.upload) == failed(.closed, .send))
        #expect(server.isDone())
    }

    /// RFC 9112 §9.6: a server may answer and close before it has read everything. The response says why.
    @Test func anAnswerBeforeTheEndOfTheRequestCounts() throws {
        let server = try ScriptedServer { peer in
            try peer.answer("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
            peer.shutDown()
        }
        let status = try onLoop { loop in try await request(server.plain, "POST", body: Self.upload, on: loop).status }
        #expect(status == 413)
        #expect(server.isDone())
    }

    /// A time-out is for the request, not for how long the loop was busy before it.
    @Test func theDeadlineBeginsWithTheCall() throws {
        let server = try ScriptedServer { peer in try peer.answer(okay()) }
        let status = try onLoop { loop in
            // Within one turn, in which the loop's clock stands still.
            let start = Reactor.clock()
            while Reactor.clock() < start + 1_500_000_000 { continue }
            return try await request(server.plain, timeout: .seconds(1), on: loop).status
        }
        #expect(status == 200)
        #expect(server.isDone())
    }

    @Test(arguments: [Duration.zero, .seconds(-1)]) func noTimeIsATimeOut(_ time: Duration) throws {
        let server = try ScriptedServer { peer in _ = peer.isAtEnd() }
        #expect(try failure(server.plain, timeout: time) == failed(.timedOut, .connect))
        #expect(server.isDone())
    }

    @Test func anyLongTimeIsTaken() throws {
        let server = try ScriptedServer { peer in try peer.answer(okay()) }
        let status = try onLoop { loop in
            try await request(server.plain, timeout: .seconds(Int64.max), on: loop).status
        }
        #expect(status == 200)
        #expect(server.isDone())
    }
}
