import Synchronization
import Testing
import TunnelCore
import TunnelIO
import TunnelTLS
import TunnelTestSupport

@testable import TunnelProxy

/// The end of a proxy, with peers that are in the midst of something.
@Suite struct DrainTests {
    /// It was accepted before, so somebody has to answer it.
    @Test func anUpgradeDuringTheDrainIsRefused() throws {
        let (arrived, gate) = (ThreadSignal(), ThreadSignal())
        let upstream = try Upstream { connection, _ in
            guard connection.readRequest() != nil else { return }
            arrived.post()
            _ = gate.wait(seconds: 20)
            connection.send(okay())
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        let late = try connect(port: proxy.port)
        try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
        // The one loop has then also accepted who came before. It is no WebSocket yet.
        #expect(arrived.wait(seconds: 20))
        let server = proxy.server
        #expect(server.connections == 1)
        server.beginGracefulShutdown()
        #expect(!proxy.log.wait(for: "shutting down").isEmpty)
        var request = ByteBuffer()
        try ClientHandshake(host: "localhost").appendRequest(into: &request)
        late.send(request.array)
        let answer = String(decoding: late.receive() ?? [], as: UTF8.self)
        #expect(answer.hasPrefix("HTTP/1.1 503 ") && answer.contains("Retry-After: 1"))
        gate.post()
        let response = try far.answer()
        #expect(response.isWhole && response.isClosing)
        try far.wait(for: "close 1001")
        far.peer.send(far.closeFrame(.normal))
        far.peer.shutDown()
        #expect(server.stopAndWait())
    }

    /// Whoever waits for the last request, or the last connection, is woken by it and not by a clock.
    @Test(arguments: [true, false]) func theLastOneWakesTheDrain(_ isRequest: Bool) throws {
        let state = try SharedState.forTests()
        if isRequest { _ = state.requestBegan() } else { _ = state.connectionBegan() }
        state.drain()
        let start = Reactor.clock()
        let hasLooked = ThreadSignal()
        let waiting = OnThread {
            state.idle.wait(until: start + 15_000_000_000) {
                defer { hasLooked.post() }
                return (isRequest ? state.requests : state.connections) == 0
            }
        }
        // It has found the counter above zero, so it waits, or is about to.
        #expect(hasLooked.wait(seconds: 20))
        if isRequest { state.requestEnded() } else { state.connectionEnded() }
        #expect(waiting.value() == true)
        #expect(Reactor.clock() - start < 10_000_000_000)
    }

    /// Without a drain there is nobody to wake, and nobody pays for it.
    @Test func countersGoUpAndDown() throws {
        let state = try SharedState.forTests()
        #expect(state.connectionBegan() == 1 && state.connectionBegan() == 2)
        #expect(state.requestBegan() == 1 && state.requestBegan() == 2)
        state.connectionEnded()
        state.requestEnded()
        #expect(state.connections == 1 && state.requests == 1 && state.requestsCut == 0 && !state.isDraining)
        // A number names one connection only.
        #expect(state.connectionBegan() == 3)
    }

    /// A request that is under way when the connections are closed was cut, whenever it began.
    @Test func aRequestThatIsUnderWayAtTheCloseIsCounted() throws {
        let arrived = Flag()
        let upstream = try Upstream { connection, _ in
            guard connection.readRequest() != nil else { return }
            arrived.set()
            _ = connection.readHead()
        }
        let state = try SharedState.forTests(TestProxy.Settings(["a": upstream.port]).configuration())
        let events = try onWorker(of: state) { loop, worker, port in
            let talk = OnThread { () -> [String] in
                do {
                    let far = try FarSide(port: port)
                    try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
                    let events = try far.runToEnd()
                    far.peer.shutDown()
                    return events
                } catch { return ["\(error)"] }
            }
            _ = await turns(on: loop.reactor) { arrived.isSet }
            #expect(state.requests == 1 && state.requestsCut == 0)
            worker.endConnections()
            _ = await turns(on: loop.reactor) { state.connections == 0 }
            return talk.value() ?? []
        }
        // No response, so nothing that says that there was a whole one.
        #expect(events == ["close 1001", "fin"])
        #expect(state.requestsCut == 1 && state.requests == 0 && state.connections == 0)
    }

    /// A proxy that another one succeeds waits for those who have come and not asked yet, and for nobody else.
    @Test func whoHasAskedOrGoneIsNoNewcomer() throws {
        let state = try SharedState.forTests()
        let (connected, asked) = (Flag(), Flag())
        let (asks, goes) = (ThreadSignal(), ThreadSignal())
        let isServed = try onWorker(of: state) { loop, worker, port in
            let talk = OnThread { () -> Bool in
                guard let far = try? FarSide(port: port) else { return false }
                connected.set()
                _ = asks.wait(seconds: 20)
                let answer = try? far.request(host: "x.t.example")
                asked.set()
                _ = goes.wait(seconds: 20)
                return answer?.status == 502
            }
            _ = await turns(on: loop.reactor) { connected.isSet }
            #expect(state.hasNewcomers)
            asks.post()
            _ = await turns(on: loop.reactor) { asked.isSet }
            #expect(!state.hasNewcomers && state.connections == 1)
            goes.post()
            _ = await turns(on: loop.reactor) { state.connections == 0 }
            do {
                let silent = try connect(port: port)
                _ = await turns(on: loop.reactor) { state.connections == 1 }
                #expect(state.hasNewcomers)
                withExtendedLifetime(silent) {}
            }
            _ = await turns(on: loop.reactor) { state.connections == 0 }
            #expect(!state.hasNewcomers)
            worker.endConnections()
            return talk.value()
        }
        #expect(isServed == true)
    }

    /// Whoever is in the midst of its handshake then could begin a request for which nobody waits any more.
    @Test func aHandshakeThatEndsAfterTheLastRequestsBeginsNone() throws {
        let state = try SharedState.forTests()
        let (upgraded, ended) = (Flag(), Flag())
        let goesOn = ThreadSignal()
        let events = try onWorker(of: state) { loop, worker, port in
            let talk = OnThread { () -> [String] in
                defer { ended.set() }
                do {
                    let far = try FarSide(connect(port: port))
                    try far.upgrade()
                    upgraded.set()
                    _ = goesOn.wait(seconds: 20)
                    try far.shakeHands()
                    try far.send("GET / HTTP/1.1\r\nHost: x.t.example\r\n\r\n")
                    let events = try far.runToEnd()
                    far.peer.shutDown()
                    return events + (far.plaintext.isEmpty ? [] : ["an answer"])
                } catch { return ["\(error)"] }
            }
            _ = await turns(on: loop.reactor) { upgraded.isSet }
            state.drain()
            worker.takeNoMoreRequests()
            goesOn.post()
            _ = await turns(on: loop.reactor) { ended.isSet && state.connections == 0 }
            return talk.value() ?? []
        }
        #expect(events == ["close_notify", "close 1001", "fin"])
    }

    /// Heads that wait behind one another are not begun once reading was stopped.
    @Test func noRequestBeginsAfterTheClose() throws {
        let state = try SharedState.forTests()
        let isEnded = try onLoop { loop in
            let (descriptor, wire) = try socketPair()
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            defer { socket.close() }
            let reader = RequestReader(socket, on: Worker(loop.reactor, state))
            defer { reader.close() }
            let head = "GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n"
            wire.send(head + head)
            guard case .head(let size) = await reader.nextHead(HeadLimits(), timeout: 1 << 40, idleTimeout: 0) else {
                return false
            }
            reader.consume(size)
            reader.releaseHead()
            reader.stop()
            if case .ended = await reader.nextHead(HeadLimits(), timeout: 1 << 40, idleTimeout: 0) { return true }
            return false
        }
        #expect(isEnded)
    }

    /// Half a pipe does not look like a whole one.
    @Test func aPipeThatTheShutdownCutsIsNotWhole() throws {
        let upstream = try Upstream { connection, _ in
            guard connection.readHead() != nil else { return }
            connection.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
            _ = connection.readHead()
        }
        let proxy = try TestProxy(["a": upstream.port]) { $0.shutdownTimeout = .milliseconds(10) }
        let far = try proxy.farSide()
        try far.send(
            "GET / HTTP/1.1\r\nHost: a.t.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        #expect(try far.answer().status == 101)
        while far.plaintext.count < 5 { #expect(try far.step()) }
        let server = proxy.server
        let stopping = OnThread { server.stopAndWait() }
        #expect(try far.runToEnd() == ["close 1001", "fin"])
        far.peer.shutDown()
        #expect(stopping.value() == false)
        #expect(proxy.finished().contains("end=shutdown"))
    }
}
