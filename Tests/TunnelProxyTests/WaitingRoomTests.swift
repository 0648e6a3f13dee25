import Glibc
import Testing
import TunnelCore
import TunnelIO
import TunnelTestSupport

@testable import TunnelProxy

@Suite struct WaitingRoomTests {
    private func upgraded(_ proxy: TestProxy) throws -> FarSide {
        let far = try FarSide(connect(port: proxy.port))
        try far.upgrade()
        return far
    }

    /// Whether the connection is over, however it ended; waits for it if it has to.
    private func isOver(_ far: FarSide) -> Bool { far.peer.receive()?.isEmpty ?? true }

    /// At the bound all may stay, one beyond it the one that came first goes.
    @Test func theOldestHandshakeGoes() throws {
        let proxy = try TestProxy { $0.limits.maxPendingConnections = 2 }
        let waiting = [try upgraded(proxy), try upgraded(proxy)]
        #expect(proxy.server.connections == 2)
        let third = try upgraded(proxy)
        #expect(isOver(waiting[0]))
        #expect(!proxy.log.wait(for: "connections dropped that waited longest before=handshake count=1").isEmpty)
        // Both of the others are in their midst still.
        try third.shakeHands()
        try waiting[1].shakeHands()
        #expect(waitUntil { proxy.server.connections == 2 })
    }

    /// The same before the upgrade, of connections that have said nothing at all.
    @Test func theOldestBeforeItsUpgradeGoes() throws {
        let proxy = try TestProxy {
            $0.limits.maxPendingConnections = 2
            $0.limits.headerTimeout = .seconds(60)
        }
        let waiting = [try connect(port: proxy.port), try connect(port: proxy.port), try connect(port: proxy.port)]
        #expect(waiting[0].receive()?.isEmpty == true)
        #expect(!proxy.log.wait(for: "connections dropped that waited longest before=upgrade count=1").isEmpty)
        // The others may still become what they came for.
        for peer in waiting.dropFirst() { try FarSide(peer).upgrade() }
    }

    /// Who has shaken hands waits no more and is not dropped for anybody.
    @Test func whoHasShakenHandsStays() throws {
        let proxy = try TestProxy { $0.limits.maxPendingConnections = 1 }
        let first = try proxy.farSide()
        let second = try proxy.farSide()
        let third = try upgraded(proxy)
        #expect(try first.request(host: "x.t.example").status == 502)
        #expect(try second.request(host: "x.t.example").status == 502)
        withExtendedLifetime(third) {}
    }

    /// Also in the moment in which its handshake is complete and its task has not run.
    @Test func whoHasJustShakenHandsStays() throws {
        var settings = try TestProxy.Settings()
        settings.limits.maxConnections = 1
        let state = try SharedState.forTests(settings.configuration())
        let answers = try onLoop { loop in
            let listener = try Listener(.loopback(0), isShared: false)
            let worker = ProxyWorker(loop.reactor, state, loops: 1)
            loop.reactor.context = worker
            try worker.accept(from: listener, isShared: false)
            var request = ByteBuffer()
            try ClientHandshake(host: "localhost").appendRequest(into: &request)
            // What the first one says goes by our hands.
            let wire = try connect(port: listener.address.port)
            let (collecting, farEnd) = try socketPair()
            let (collector, far) = (Peer(collecting), try FarSide(farEnd))
            wire.send(request.array)
            var upgraded: [UInt8] = []
            _ = await turns(on: loop.reactor) {
                upgraded = wire.receiveNow()
                return !upgraded.isEmpty
            }
            let hello = try far.firstFlight()
            wire.send(hello)
            while !far.isHandshakeComplete {
                await turns(1, on: loop.reactor)
                try far.take(wire.receiveNow())
            }
            let late = try connect(port: listener.address.port)
            _ = await turns(on: loop.reactor) { state.connections == 2 }
            // In this order, before the loop looks at either.
            late.send(request.array)
            wire.send(collector.receiveNow())
            var refusal: [UInt8] = []
            _ = await turns(on: loop.reactor) {
                refusal = late.receiveNow()
                return !refusal.isEmpty
            }
            wire.send(try far.encrypted(Array("GET / HTTP/1.1\r\nHost: x.t.example\r\n\r\n".utf8)))
            _ = await turns(on: loop.reactor) {
                try? far.take(wire.receiveNow())
                return !far.plaintext.isEmpty || state.tunnels == 0
            }
            worker.endConnections()
            wire.shutDown()
            late.shutDown()
            _ = await turns(on: loop.reactor) { state.connections == 0 }
            worker.finish()
            return [far.plaintext.array, refusal].map { String(decoding: $0.prefix(12), as: UTF8.self) }
        }
        #expect(answers == ["HTTP/1.1 502", "HTTP/1.1 503"])
    }

    /// It is the proxy that lets this one wait, and what its signature costs is not thrown away.
    @Test func aHandshakeThatIsBeingSignedStays() throws {
        let files = try TestIdentity.files(TestIdentity.rsa.get(), name: "waiting")
        let proxy = try TestProxy {
            $0.tls = ProxyConfiguration.TLS(certFile: files.certificate, keyFile: files.key)
            $0.limits.maxPendingConnections = 1
        }
        // All threads that sign are kept busy meanwhile.
        let (held, released) = (ThreadSignal(), ThreadSignal())
        let threads = LoopGroup.availableCores
        for _ in 0..<threads {
            _ = BlockingPool.signatures.submit {
                held.post()
                _ = released.wait(seconds: 20)
            }
        }
        for _ in 0..<threads { #expect(held.wait(seconds: 20)) }
        let signed = try upgraded(proxy)
        signed.peer.send(try signed.firstFlight())
        let silent = try upgraded(proxy)
        let newest = try upgraded(proxy)
        #expect(isOver(silent))
        for _ in 0..<threads { released.post() }
        try signed.shakeHands()
        #expect(try signed.request(host: "x.t.example").status == 502)
        withExtendedLifetime(newest) {}
    }

    /// One more than the places: a WebSocket that has said nothing gives its own up.
    @Test func aPlaceIsGivenUpByWhoIsSilent() throws {
        let proxy = try TestProxy { $0.limits.maxConnections = 1 }
        let silent = try upgraded(proxy)
        let far = try proxy.farSide()
        #expect(isOver(silent))
        #expect(proxy.server.connections == 1)
        #expect(try far.request(host: "x.t.example").status == 502)
    }

    /// Connections before their upgrade are no WebSockets.
    @Test func whoHasNotUpgradedTakesNoPlace() throws {
        let proxy = try TestProxy { $0.limits.maxConnections = 1 }
        let silent = try (0..<5).map { _ in try connect(port: proxy.port) }
        #expect(try proxy.farSide().request(host: "x.t.example").status == 502)
        withExtendedLifetime(silent) {}
    }

    /// Nor while it changes hands, which is when the proxy says that it drops somebody.
    @Test func aPlaceThatChangesHandsIsNeverFree() throws {
        var settings = try TestProxy.Settings()
        settings.limits.maxConnections = 1
        let interceptor = Interceptor(at: "connections dropped that waited longest before=handshake")
        let server = try ProxyServer(configuration: settings.configuration(), log: interceptor.log)
        try server.start()
        defer { server.stopAndWait() }
        let isTaken = Flag()
        interceptor.then { if server.connections == 1 { isTaken.set() } }
        let silent = try FarSide(connect(port: server.port ?? 0))
        try silent.upgrade()
        let far = try FarSide(port: server.port ?? 0)
        interceptor.forget()
        #expect(isTaken.isSet && isOver(silent))
        far.peer.send(far.closeFrame(.normal))
        far.peer.shutDown()
        server.stopNow()
    }

    /// A place that changes hands is nobody's for no moment. With so many, no loop is without one that can be dropped.
    @Test func aPlaceGivenUpIsTheOneWhoNeedsIts() throws {
        let proxy = try TestProxy {
            $0.limits.maxConnections = 64
            $0.threads = 2
        }
        let port = proxy.port
        let silent = try (0..<64).map { _ in try upgraded(proxy) }
        let floods = (0..<2).map { _ in
            OnThread {
                // Held to the end: the proxy drops them, and they never do.
                var held: [FarSide] = []
                for _ in 0..<300 {
                    guard let far = try? FarSide(connect(port: port)) else { return -1 }
                    held.append(far)
                    if (try? far.upgrade()) == nil { return held.count }
                }
                return 0
            }
        }
        #expect(floods.map { $0.value() } == [0, 0], "refused at the one of that number")
        withExtendedLifetime(silent) {}
    }
}
