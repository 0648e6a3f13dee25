import Glibc
import Testing
import TunnelCore
import TunnelIO
import TunnelTLS

@Suite struct ClientConnectionTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func plainBytesGoBothWays() throws {
        let (descriptor, peer) = try socketPair()
        let text = try onLoop { loop in
            let connection = try open(descriptor, on: loop.reactor)
            defer { connection.close() }
            send("ping", on: connection)
            #expect(String(decoding: peer.receive(exactly: 4), as: UTF8.self) == "ping")
            peer.send("pong")
            peer.shutDown()
            return try await readToEnd(connection)
        }
        #expect(text == "pong")
    }

    /// What does not fit in the reader's room stays where it is.
    @Test(arguments: [1, 3, 10]) func theLimitIsTheBuffersSize(_ limit: Int) throws {
        let (descriptor, peer) = try socketPair()
        peer.send("0123456789")
        peer.shutDown()
        let pieces = try onLoop { loop in
            let connection = try open(descriptor, on: loop.reactor)
            defer { connection.close() }
            var pieces: [String] = []
            var buffer = ByteBuffer()
            while try connection.receive(into: &buffer, limit: limit) != .end {
                pieces.append(String(decoding: buffer.array, as: UTF8.self))
                buffer.removeAll()
                await connection.readable()
            }
            return pieces
        }
        #expect(pieces.joined() == "0123456789")
        #expect(pieces.allSatisfy { $0.count <= limit })
    }

    /// Nor are its records read: they would be kept, however many there are.
    @Test func aFullBufferReadsNoRecords() throws {
        let (descriptor, peer) = try socketPair()
        let (isReady, isSent, isOver) = (ThreadSignal(), Flag(), ThreadSignal())
        let server = OnThread { () -> Bool in
            guard let tls = try? TLSPeer(peer) else { return false }
            _ = isReady.wait(seconds: 20)
            try? tls.send("more")
            isSent.set()
            return isOver.wait(seconds: 20)
        }
        let (full, isThere, text) = try onLoop { loop in
            let connection = try open(descriptor, on: loop.reactor)
            defer { connection.close() }
            try await connection.startTLS(
                TestTLS.client(), serverName: "localhost", timeout: 10 * ClientConnectionTests.second)
            var buffer = ByteBuffer()
            // The tickets of the handshake.
            await turns(on: loop.reactor)
            _ = try connection.receive(into: &buffer, limit: 1_024)
            buffer.append("full")
            isReady.post()
            _ = await turns(on: loop.reactor) { isSent.isSet && connection.socket.hasInput }
            let full = try connection.receive(into: &buffer, limit: 4)
            let isThere = connection.socket.hasInput
            _ = try connection.receive(into: &buffer, limit: 8)
            isOver.post()
            return ("\(full)", isThere, String(decoding: buffer.array, as: UTF8.self))
        }
        #expect(full == "nothing" && isThere && text == "fullmore")
        #expect(server.value() == true)
    }

    @Test(arguments: [1, 100, 16_384, 50_000]) func tlsBytesGoBothWays(_ count: Int) throws {
        let (descriptor, peer) = try socketPair()
        let sent = String(repeating: "a", count: count)
        let server = OnThread {
            () -> String? in
            guard let tls = try? TLSPeer(peer), let text = try? tls.receive(exactly: count) else { return nil }
            try? tls.send("got \(text.count)")
            tls.close()
            return text
        }
        let answer = try onLoop { loop in
            let connection = try open(descriptor, on: loop.reactor)
            defer { connection.close() }
            try await connection.startTLS(
                TestTLS.client(), serverName: "localhost", timeout: 10 * ClientConnectionTests.second)
            #expect(connection.tlsVersion != nil)
            send(sent, on: connection)
            try await connection.flush()
            let answer = try await readToEnd(connection)
            // It said so itself, behind all that it had to say.
            #expect(connection.ended == .orderly)
            return answer
        }
        #expect(answer == "got \(count)")
        #expect(server.value() == sent)
    }

    @Test func anotherNameIsRefused() throws {
        let (descriptor, peer) = try socketPair()
        let server = OnThread { () -> Bool in (try? TLSPeer(peer)) == nil }
        let error = try onLoop { loop in
            let connection = try open(descriptor, on: loop.reactor)
            do throws(IOError) {
                let client: TLSClientContext
                do { client = try TestTLS.client() } catch { return nil as IOError? }
                try await connection.startTLS(
                    client, serverName: "other.example", timeout: 10 * ClientConnectionTests.second)
                return nil
            } catch { return error }
        }
        #expect(error?.code == .tls)
        #expect(server.value() == true)
    }

    @Test func aSilentServerIsATimeOut() throws {
        let (descriptor, peer) = try socketPair()
        let code = try onLoop { loop in
            let client = try TestTLS.client()
            let connection = try open(descriptor, on: loop.reactor)
            do throws(IOError) {
                try await connection.startTLS(client, serverName: "localhost", timeout: 1_000_000)
                return IOError.Code.closed
            } catch { return error.code }
        }
        #expect(code == .timedOut)
        #expect(peer.isAtEnd())
    }

    @Test func aServerThatGoesInTheHandshakeIsAnError() throws {
        let (descriptor, peer) = try socketPair()
        peer.shutDown()
        let code = try onLoop { loop in
            let client = try TestTLS.client()
            let connection = try open(descriptor, on: loop.reactor)
            defer { connection.close() }
            do throws(IOError) {
                try await connection.startTLS(client, serverName: "localhost", timeout: ClientConnectionTests.second)
                return IOError.Code.closed
            } catch { return error.code }
        }
        #expect(code == .endOfStream)
    }

    /// RFC 8446 §6.1: without close_notify the data may have been cut short.
    @Test func anEndWithoutCloseNotifyIsAnError() throws {
        let (descriptor, peer) = try socketPair()
        let server = OnThread { () -> Bool in
            guard let tls = try? TLSPeer(peer) else { return false }
            try? tls.send("part")
            tls.peer.shutDown()
            return true
        }
        let (text, code) = try onLoop { loop in
            let connection = try open(descriptor, on: loop.reactor)
            defer { connection.close() }
            try await connection.startTLS(
                TestTLS.client(), serverName: "localhost", timeout: 10 * ClientConnectionTests.second)
            var buffer = ByteBuffer()
            do throws(IOError) {
                while true {
                    switch try connection.receive(into: &buffer, limit: 1024) {
                    case .nothing: await connection.readable()
                    case .bytes: continue
                    case .end: return (String(decoding: buffer.array, as: UTF8.self), nil as IOError.Code?)
                    }
                }
            } catch { return (String(decoding: buffer.array, as: UTF8.self), error.code) }
        }
        #expect(text == "part")
        #expect(code == .endOfStream)
        #expect(server.value() == true)
    }

    /// A connection that failed must not leave bytes for the next one in the loop's shared buffer.
    @Test func garbageInsteadOfTLSLeavesNothingBehind() throws {
        let (descriptor, peer) = try socketPair()
        peer.send("HTTP/1.1 400 Bad Request\r\n\r\n")
        let (code, left) = try onLoop { loop in
            let client = try TestTLS.client()
            let connection = try open(descriptor, on: loop.reactor)
            var code = IOError.Code.closed
            do throws(IOError) {
                try await connection.startTLS(client, serverName: "localhost", timeout: ClientConnectionTests.second)
            } catch { code = error.code }
            return (code, loop.reactor.staging.count)
        }
        #expect(code == .tls)
        #expect(left == 0)
    }

    // MARK: Put aside

    @Test func anEndOfAConnectionPutAsideIsTold() throws {
        let (descriptor, peer) = try socketPair()
        let calls = try onLoop { loop in
            let connection = try open(descriptor, on: loop.reactor)
            let calls = Box(0)
            connection.putAside { connection in
                calls.value += 1
                connection.takeUp()
                connection.close()
            }
            await turns(on: loop.reactor)
            let before = calls.value
            peer.shutDown()
            while calls.value == 0 { await turns(on: loop.reactor) }
            await turns(on: loop.reactor)
            return (before, calls.value)
        }
        #expect(calls == (0, 1))
    }

    /// The time for connecting and shaking hands ends with that: a response may take longer.
    @Test func theHandshakesDeadlineEndsWithIt() throws {
        let listener = try Listener(.loopback(0), isShared: false)
        let server = OnThread { () -> Bool in
            guard let peer = try? listener.accept(), let tls = try? TLSPeer(peer) else { return false }
            defer { tls.close() }
            return (try? tls.receive(exactly: 4)) == "done"
        }
        let left = try onLoop { loop in
            let (socket, address) = try await Connector.connect(
                to: [listener.address], timeout: 10 * ClientConnectionTests.second, on: loop.reactor)
            var left = [loop.reactor.pendingDeadlines]
            let connection = ClientConnection(socket, address, on: loop.reactor)
            defer { connection.close() }
            try await connection.startTLS(
                TestTLS.client(), serverName: "localhost", timeout: 10 * ClientConnectionTests.second)
            left.append(loop.reactor.pendingDeadlines)
            send("done", on: connection)
            try await connection.flush()
            return left
        }
        #expect(left == [1, 1], "the test's own watchdog and no other")
        #expect(server.value() == true)
    }

    /// TLS 1.3 tickets come after the handshake unasked for: they are no reason to drop a connection.
    @Test func ticketsDoNotDiscardAConnectionPutAside() throws {
        let (descriptor, peer) = try socketPair()
        let gate = ThreadSignal()
        let server = OnThread { () -> Bool in
            guard let tls = try? TLSPeer(peer) else { return false }
            _ = gate.wait(seconds: 20)
            tls.close()
            return true
        }
        let calls = try onLoop { loop in
            let connection = try open(descriptor, on: loop.reactor)
            let calls = Box(0)
            try await connection.startTLS(
                TestTLS.client(), serverName: "localhost", timeout: 10 * ClientConnectionTests.second)
            connection.putAside { _ in calls.value += 1 }
            await turns(on: loop.reactor)
            let before = calls.value
            gate.post()
            while calls.value == 0 { await turns(on: loop.reactor) }
            connection.takeUp()
            let hasInput = connection.hasInput
            connection.close()
            return (before, calls.value, hasInput)
        }
        #expect(calls.0 == 0 && calls.1 == 1 && calls.2)
        #expect(server.value() == true)
    }

    @Test func aQuietConnectionIsTakenUpAgain() throws {
        let (descriptor, peer) = try socketPair()
        let text = try onLoop { loop in
            let connection = try open(descriptor, on: loop.reactor)
            defer { connection.close() }
            connection.putAside { _ in }
            await turns(on: loop.reactor)
            connection.takeUp()
            #expect(!connection.hasInput)
            peer.send("more")
            peer.shutDown()
            return try await readToEnd(connection)
        }
        #expect(text == "more")
    }
}

private func open(_ descriptor: CInt, on reactor: Reactor) throws -> ClientConnection {
    ClientConnection(try Socket(adopting: descriptor, on: reactor), .loopback(1), on: reactor)
}

private func send(_ text: String, on connection: ClientConnection) {
    _ = Array(text.utf8).withUnsafeBytes { connection.send($0) }
}

private func readToEnd(_ connection: ClientConnection) async throws -> String {
    var buffer = ByteBuffer()
    while true {
        switch try connection.receive(into: &buffer, limit: 1 << 20) {
        case .bytes: continue
        case .nothing: await connection.readable()
        case .end: return String(decoding: buffer.array, as: UTF8.self)
        }
    }
}
