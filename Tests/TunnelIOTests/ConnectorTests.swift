import Glibc
import Testing
import TunnelCore
import TunnelIO

@Suite struct ConnectorTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func connectsToAListener() throws {
        let listener = try Listener(.loopback(0), isShared: false)
        let address = try onLoop { loop in
            let (socket, address) = try await Connector.connect(
                to: [listener.address], timeout: 5 * ConnectorTests.second, on: loop.reactor)
            socket.close()
            return address
        }
        #expect(address == listener.address)
    }

    /// RFC 8305 §4: a family that does not work here costs one attempt, not one for each of its addresses.
    @Test func theFamiliesTakeTurns() {
        let (a, b, c) = (IPAddress(v4: 1), IPAddress(v4: 2), IPAddress(v4: 3))
        let (x, y) = (IPAddress(v6High: 1, low: 1), IPAddress(v6High: 1, low: 2))
        #expect(Connector.alternating([a, b, c, x, y]) == [a, x, b, y, c])
        #expect(Connector.alternating([x, a, b, y]) == [x, a, y, b])
        #expect(Connector.alternating([a, b]) == [a, b])
        #expect(Connector.alternating([]).isEmpty)
    }

    /// connect(2): a socket whose listener's queue is full refuses for the moment, and nothing says when it does not any more.
    @Test func aFullQueueOfASocketIsWaitedFor() throws {
        let path = "/tmp/connector-\(getpid()).sock"
        let address = SocketAddress.unix(path: path)
        unlink(path)
        defer { unlink(path) }
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_NONBLOCK, 0)
        defer { close(listener) }
        func call(_ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt? { address.withSockaddr(body) }
        try #require(call { bind(listener, $0, $1) } == 0 && listen(listener, 0) == 0)
        var waiting: [CInt] = []
        while true {
            waiting.append(socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_NONBLOCK, 0))
            guard call({ connect(waiting[waiting.count - 1], $0, $1) }) == 0 else { break }
        }
        defer { for descriptor in waiting { close(descriptor) } }
        try onLoop { loop in
            await #expect(throws: DialError.self) {
                let (socket, _) = try await Connector.connect(to: [address], timeout: 30_000_000, on: loop.reactor)
                socket.close()
            }
            loop.reactor.runLater(after: 20_000_000) { while accept(listener, nil, nil) >= 0 {} }
            let (socket, _) = try await Connector.connect(
                to: [address], timeout: 5 * ConnectorTests.second, on: loop.reactor)
            socket.close()
        }
    }

    @Test func aRefusedAddressLeadsToTheNext() throws {
        let listener = try Listener(.loopback(0), isShared: false)
        let closed = try ClosedPort()
        let address = try onLoop { loop in
            let (socket, address) = try await Connector.connect(
                to: [closed.address, listener.address], timeout: 5 * ConnectorTests.second, on: loop.reactor)
            socket.close()
            return address
        }
        #expect(address == listener.address)
    }

    @Test func theLastRefusalIsTheError() throws {
        let closed = try [ClosedPort(), ClosedPort()]
        let refused = closed.map(\.address)
        let text = try onLoop { loop in
            do throws(DialError) {
                _ = try await Connector.connect(to: refused, timeout: 5 * ConnectorTests.second, on: loop.reactor)
                return "connected"
            } catch { return "\(error)" }
        }
        #expect(text == "dial tcp \(refused[1]): connect: connection refused")
        withExtendedLifetime(closed) {}
    }

    @Test func noAddressIsAnError() throws {
        let code = try onLoop { loop in
            do throws(DialError) {
                _ = try await Connector.connect(to: [], timeout: ConnectorTests.second, on: loop.reactor)
                return IOError.Code.closed
            } catch { return error.error.code }
        }
        #expect(code == .nameNotFound)
    }

    /// A full queue makes the kernel drop the next connection's SYN, so that it gets no answer at all.
    @Test func silenceIsATimeOut() throws {
        let full = try FullListener()
        let error = try onLoop { loop in
            do throws(DialError) {
                _ = try await Connector.connect(to: [full.address], timeout: 50_000_000, on: loop.reactor)
                return nil as DialError?
            } catch { return error }
        }
        #expect(error?.error.code == .timedOut)
        #expect(error?.address == full.address)
    }

    @Test func silenceStartsTheNextAddressBesideIt() throws {
        let full = try FullListener()
        let listener = try Listener(.loopback(0), isShared: false)
        let address = try onLoop { loop in
            // By the clock that the deadline goes by, which stands still during a turn.
            let before = loop.reactor.now
            let (socket, address) = try await Connector.connect(
                to: [full.address, listener.address], timeout: 10 * ConnectorTests.second, on: loop.reactor)
            socket.close()
            #expect(loop.reactor.now - before >= 250_000_000)
            return address
        }
        #expect(address == listener.address)
    }

    /// The first has answered in the very turn in which the next was due: that one is not dialled any more.
    @Test func whoeverAnsweredIsTheLast() throws {
        let (first, next) = (try Listener(.loopback(0), isShared: false), try Listener(.loopback(0), isShared: false))
        let address = try onLoop { loop in
            // Runs between the call of connect and the next look at the descriptors, and holds the loop until both are due.
            loop.spawn { _ in usleep(300_000) }
            let (socket, address) = try await Connector.connect(
                to: [first.address, next.address], timeout: 5 * ConnectorTests.second, on: loop.reactor)
            await turns(on: loop.reactor)
            socket.close()
            return address
        }
        #expect(address == first.address)
        var readiness = pollfd(fd: next.descriptor, events: Int16(POLLIN), revents: 0)
        #expect(poll(&readiness, 1, 0) == 0)
    }

    /// The end of the stream can be reported together with the connection's success; it must not be lost.
    @Test func anEndThatCameWithTheConnectionIsSeen() throws {
        let listener = try Listener(.loopback(0), isShared: false)
        let bytes = try onLoop { loop in
            // Runs between the call of connect and the next look at the descriptors.
            loop.spawn { _ in
                let peer = try? listener.accept()
                peer?.send("bye")
            }
            let (socket, _) = try await Connector.connect(
                to: [listener.address], timeout: 5 * ConnectorTests.second, on: loop.reactor)
            defer { socket.close() }
            var bytes: [UInt8] = []
            while true {
                guard let count = try socket.receive(into: loop.reactor.scratch) else {
                    await socket.readable()
                    continue
                }
                if count == 0 { return bytes }
                bytes += loop.reactor.scratch[..<count]
            }
        }
        #expect(bytes == Array("bye".utf8))
    }

    /// Success and the deadline in one turn: what came first counts, and no descriptor is left over.
    @Test func successAndDeadlineInOneTurn() throws {
        let listener = try Listener(.loopback(0), isShared: false)
        let isConnected = try onLoop { loop in
            do throws(DialError) {
                let (socket, _) = try await Connector.connect(to: [listener.address], timeout: 0, on: loop.reactor)
                socket.close()
                return true
            } catch { return false }
        }
        #expect(isConnected)
    }

    /// Every attempt that did not win is closed: beside a winner, after a refusal, a time-out and when called back. In a
    /// process of its own, because descriptors are the process's.
    @Test func lostAttemptsAreClosed() async {
        await #expect(processExitsWith: .success) {
            let full = try FullListener()
            let listener = try Listener(.loopback(0), isShared: false)
            let closed = try ClosedPort()
            let isEqual = try onLoop { loop in
                let reactor = loop.reactor
                func dial(_ addresses: [SocketAddress], _ timeout: UInt64, cancelled: Bool = false) async -> Bool {
                    let cancellation = Cancellation()
                    let soon = Deadline(on: reactor) { cancellation.cancel() }
                    if cancelled { soon.set(after: 1_000_000) }
                    defer { soon.cancel() }
                    do throws(DialError) {
                        let (socket, _) = try await Connector.connect(
                            to: addresses, timeout: timeout, cancellation: cancellation, on: reactor)
                        socket.close()
                        return true
                    } catch { return false }
                }
                let before = openSockets()
                let won = await dial([full.address, full.address, listener.address], 20 * ConnectorTests.second)
                let lost = [
                    await dial([closed.address, closed.address], 20 * ConnectorTests.second),
                    await dial([full.address, full.address], 300_000_000),
                    await dial([full.address], 20 * ConnectorTests.second, cancelled: true),
                ]
                return won && lost == [false, false, false] && openSockets() == before
                    && reactor.pendingDeadlines == 1
            }
            withExtendedLifetime((full, listener, closed)) { exit(isEqual ? EXIT_SUCCESS : EXIT_FAILURE) }
        }
    }
}

/// Sockets that this process has open. The runtime opens descriptors of other kinds when it likes.
private func openSockets() -> Int {
    (0..<1_024 as Range<CInt>).count { descriptor in
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFSOCK
    }
}
