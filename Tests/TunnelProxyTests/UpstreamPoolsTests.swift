import Synchronization
import Testing
import TunnelCore
import TunnelIO
import TunnelTLS
import TunnelTestSupport

@testable import TunnelProxy

@Suite struct UpstreamPoolsTests {
    @Test func aConnectionGivenBackIsTheNextOne() throws {
        let upstream = try quiet()
        try onLoop { loop in
            let bench = try Bench(loop.reactor, upstream.port)
            let first = try await bench.lease()
            let second = try await bench.lease()
            #expect(first !== second)
            bench.giveBack(first)
            bench.giveBack(second)
            // The last used first; it is the least likely to have died.
            let next1 = try await bench.lease()
            #expect(next1 === second)
            let next2 = try await bench.lease()
            #expect(next2 === first)
            #expect(bench.worker.metrics[.poolHit] == 2 && bench.worker.metrics[.dial(.ok)] == 2)
        }
    }

    @Test func freshMeansNew() throws {
        let upstream = try quiet()
        try onLoop { loop in
            let bench = try Bench(loop.reactor, upstream.port)
            let first = try await bench.lease()
            bench.giveBack(first)
            let next3 = try await bench.lease(fresh: true)
            #expect(next3 !== first)
            let next4 = try await bench.lease()
            #expect(next4 === first)
        }
    }

    @Test func noMoreAreKeptThanAllowed() throws {
        let upstream = try quiet()
        try onLoop { loop in
            let bench = try Bench(loop.reactor, upstream.port) { $0.upstream.maxIdlePerRoute = 1 }
            let first = try await bench.lease()
            let second = try await bench.lease()
            bench.giveBack(first)
            bench.giveBack(second)
            #expect(!first.socket.isClosed && second.socket.isClosed)
            let none = try Bench(loop.reactor, upstream.port) { $0.upstream.maxIdlePerRoute = 0 }
            let only = try await none.lease()
            none.giveBack(only)
            #expect(only.socket.isClosed)
        }
    }

    @Test func idleOnesAreClosedInTime() throws {
        let upstream = try quiet()
        try onLoop { loop in
            let bench = try Bench(loop.reactor, upstream.port) { $0.upstream.idleTimeout = .milliseconds(20) }
            let first = try await bench.lease()
            let second = try await bench.lease()
            bench.giveBack(first)
            let start = loop.reactor.now
            _ = await turns(on: loop.reactor) { loop.reactor.now - start > 10_000_000 }
            bench.giveBack(second)
            _ = await turns(on: loop.reactor) { first.socket.isClosed }
            #expect(first.socket.isClosed)
            #expect(loop.reactor.now - start >= 20_000_000)
            _ = await turns(on: loop.reactor) { second.socket.isClosed }
            #expect(second.socket.isClosed)
            #expect(loop.reactor.now - start >= 30_000_000)
        }
    }

    @Test func oneThatTheUpstreamEndsIsForgotten() throws {
        let gate = ThreadSignal()
        let upstream = try Upstream { connection, number in
            if number == 1 { _ = gate.wait(seconds: 20) } else { _ = connection.readHead() }
        }
        try onLoop { loop in
            let bench = try Bench(loop.reactor, upstream.port)
            let first = try await bench.lease()
            bench.giveBack(first)
            gate.post()
            _ = await turns(on: loop.reactor) { first.socket.isClosed }
            #expect(first.socket.isClosed)
            let next5 = try await bench.lease()
            #expect(next5 !== first)
        }
    }

    /// Nobody asked: it cannot be the answer to the next request.
    @Test func oneThatSpeaksUnaskedIsForgotten() throws {
        let gate = ThreadSignal()
        let upstream = try Upstream { connection, number in
            if number == 1 {
                _ = gate.wait(seconds: 20)
                connection.send("HTTP/1.1 408 Request Timeout\r\n\r\n")
            }
            _ = connection.readHead()
        }
        try onLoop { loop in
            let bench = try Bench(loop.reactor, upstream.port)
            let first = try await bench.lease()
            bench.giveBack(first)
            gate.post()
            _ = await turns(on: loop.reactor) { first.socket.isClosed }
            #expect(first.socket.isClosed)
            let next6 = try await bench.lease()
            #expect(next6 !== first)
        }
    }

    @Test func aNewPolicyDropsWhatItRefuses() throws {
        let upstream = try quiet()
        try onLoop { loop in
            let bench = try Bench(loop.reactor, upstream.port)
            let first = try await bench.lease()
            bench.giveBack(first)
            // Another snapshot that still allows it.
            let same = try bench.snapshot { _ in }
            let next7 = try await bench.lease(by: same)
            #expect(next7 === first)
            bench.giveBack(first, by: same)
            let strict = try bench.snapshot {
                $0.upstream.allowedIPs = [IPPrefix(masking: IPAddress(v4Bytes: 10, 0, 0, 0), length: 8)]
            }
            let refused = try? await bench.lease(by: strict)
            #expect(refused == nil)
            #expect(first.socket.isClosed)
            // One that was out meanwhile does not come back in.
            let second = try await bench.lease()
            bench.giveBack(second)
            #expect(second.socket.isClosed)
        }
    }

    @Test func upstreamsThatAreGoneLoseTheirConnections() throws {
        let upstream = try quiet()
        try onLoop { loop in
            let bench = try Bench(loop.reactor, upstream.port)
            let first = try await bench.lease()
            bench.giveBack(first)
            bench.upstreams.keep(only: [bench.upstream])
            #expect(!first.socket.isClosed)
            bench.upstreams.keep(only: [])
            #expect(first.socket.isClosed)
            // One that was out meanwhile does not come back in.
            let second = try await bench.lease()
            bench.giveBack(second)
            #expect(second.socket.isClosed)
        }
    }

    // MARK: Logins that hold for a connection

    @Test func aBoundConnectionIsItsOwnersOnly() throws {
        let upstream = try quiet()
        try onLoop { loop in
            let bench = try Bench(loop.reactor, upstream.port)
            let (shared, hers) = (try await bench.lease(for: 1), try await bench.lease(for: 1))
            hers.isBound = true
            bench.giveBack(hers, of: 1)
            bench.giveBack(shared, of: 1)
            // Hers goes first, since whatever she asks for is asked for as her.
            let next = try await bench.lease(for: 1)
            #expect(next === hers)
            bench.giveBack(hers, of: 1)
            let another = try await bench.lease(for: 2)
            #expect(another === shared)
            let third = try await bench.lease(for: 2)
            #expect(third !== hers && third !== shared)
            bench.upstreams.closeBound(of: 2)
            #expect(!hers.socket.isClosed)
            bench.upstreams.closeBound(of: 1)
            #expect(hers.socket.isClosed && !shared.socket.isClosed && !third.socket.isClosed)
        }
    }

    /// What ends other parked connections ends these too.
    @Test func aBoundConnectionEndsWithItsPolicyAndItsRoute() throws {
        let upstream = try quiet()
        try onLoop { loop in
            let bench = try Bench(loop.reactor, upstream.port)
            func bound() async throws -> ClientConnection {
                let connection = try await bench.lease()
                connection.isBound = true
                bench.giveBack(connection)
                return connection
            }
            let first = try await bound()
            let strict = try bench.snapshot {
                $0.upstream.allowedIPs = [IPPrefix(masking: IPAddress(v4Bytes: 10, 0, 0, 0), length: 8)]
            }
            _ = try? await bench.lease(by: strict)
            #expect(first.socket.isClosed)
            bench.upstreams.closeBound(of: 1)
            let second = try await bound()
            bench.upstreams.keep(only: [bench.upstream])
            #expect(!second.socket.isClosed)
            bench.upstreams.keep(only: [])
            #expect(second.socket.isClosed)
        }
    }

    /// One client may name such a login at any number of routes.
    @Test func noMoreUpstreamsAreKeptThanAllowed() throws {
        let upstream = try quiet()
        try onLoop { loop in
            let bench = try Bench(loop.reactor, upstream.port)
            var bound = BoundConnections(on: loop.reactor)
            let limits = ConnectionPool.Limits(maxParked: 8, idleTimeout: 60_000_000_000)
            for number in 1...BoundConnections.maxUpstreams + 1 {
                let address = UpstreamKey(address: try UpstreamAddress("http://127.0.0.1:\(number)"))
                bound.makePool(of: address, for: 1).park(try await bench.lease(), generation: 1, limits: limits)
                bound.makePool(of: address, for: 2).park(try await bench.lease(), generation: 1, limits: limits)
                #expect(bound.count == 2 * min(number, BoundConnections.maxUpstreams))
            }
            let oldest = UpstreamKey(address: try UpstreamAddress("http://127.0.0.1:1"))
            let next = UpstreamKey(address: try UpstreamAddress("http://127.0.0.1:2"))
            #expect(bound.pool(of: oldest, for: 1) == nil && bound.pool(of: next, for: 1)?.count == 1)
            bound.closeAll(of: 1)
            #expect(bound.count == BoundConnections.maxUpstreams)
            bound.closeAll()
            #expect(bound.count == 0)
        }
    }

    // MARK: Requests

    /// The second lock: whatever let it through before, what HTTP/1.1 would read as two requests is none.
    @Test(arguments: [true, false]) func aTranslatedHeadIsOneHead(_ isOne: Bool) throws {
        let heads = Heads()
        let upstream = try Upstream { connection, _ in
            while let head = connection.readHead() { heads.add(head) }
            heads.add("end")
        }
        let isRefused = try onLoop { loop in
            let bench = try Bench(loop.reactor, upstream.port)
            let client = HTTP1Client(on: bench.worker)
            client.attach(
                try await bench.lease(), to: 0, bench.first, owner: 1, from: bench.upstreams)
            var head = RequestHead()
            var lines = AddedLines()
            let bytes = Array("GET /first HTTP/1.1\r\nHost: a.t.example\r\n\r\n".utf8)
            _ = try head.parse(bytes.span)
            lines.lines.append(isOne ? "X: y\r\n" : "X: y\r\n\r\nGET /second HTTP/1.1\r\n")
            client.sendHead(
                head, bytes.span,
                ForwardingRules(
                    host: .preserve, framing: .none, passesUpgrade: false, forwarded: nil, isTranslated: true),
                adding: lines)
            _ = client.push()
            defer { client.finish(keeps: false) }
            do throws(ClientStreamError) { return try client.receiveHead(.get, HeadLimits()) != .nothing } catch {
                if case .malformed = error { return true }
                return false
            }
        }
        #expect(isRefused == !isOne)
        #expect(heads.waitForEnd().count == (isOne ? 1 : 0))
    }

    // MARK: https

    @Test func tlsUpstreamsAreVerified() throws {
        let upstream = try SecureUpstream()
        let proxy = try TestProxy(https: ["a": upstream.port])
        let far = try proxy.farSide()
        for _ in 0..<3 { #expect(try far.request().body == "hi") }
        #expect(upstream.connections == 1)
    }

    @Test func anUpstreamNobodyVouchesForIsRefused() throws {
        let upstream = try SecureUpstream()
        let stranger = try TestIdentity.strangerFile()
        let proxy = try TestProxy(https: ["a": upstream.port]) { $0.upstream.tls.caFile = stranger }
        #expect(try proxy.farSide().request().status == 502)
        #expect(proxy.log.wait(for: "tls handshake failed").count == 1)
    }

    /// An upstream that accepts and says nothing.
    private func quiet() throws -> Upstream {
        try Upstream { connection, _ in while connection.readHead() != nil {} }
    }

    /// What an upstream has read.
    private final class Heads: Sendable {
        private let kept = Mutex<[String]>([])
        private let signal = ThreadSignal()

        func add(_ head: String) {
            kept.withLock { $0.append(head) }
            if head == "end" { signal.post() }
        }

        func waitForEnd() -> [String] {
            #expect(signal.wait(seconds: 20))
            return kept.withLock { $0.dropLast() }
        }
    }

    /// The pools of one loop, without a server.
    private final class Bench {
        let worker: Worker
        let upstreams: UpstreamPools
        let upstream: UpstreamKey
        private let port: UInt16
        let first: ProxySnapshot

        init(_ reactor: Reactor, _ port: UInt16, change: (inout TestProxy.Settings) -> Void = { _ in }) throws {
            self.port = port
            upstream = UpstreamKey(address: try UpstreamAddress("http://127.0.0.1:\(port)"))
            first = try Bench.makeSnapshot(port, nil, change)
            let pair = try TestIdentity.shared.get()
            let state = SharedState(
                first,
                credentials: try ServerCredentials(
                    identity: TLSIdentity(certificates: pair.certificate, privateKey: pair.key)),
                log: LogRecorder().log())
            worker = Worker(reactor, state)
            upstreams = UpstreamPools(on: worker)
        }

        deinit { upstreams.closeAll() }

        func snapshot(_ change: (inout TestProxy.Settings) -> Void) throws -> ProxySnapshot {
            try Bench.makeSnapshot(port, first, change)
        }

        private static func makeSnapshot(
            _ port: UInt16, _ previous: ProxySnapshot?, _ change: (inout TestProxy.Settings) -> Void
        ) throws -> ProxySnapshot {
            var settings = try TestProxy.Settings(["a": port])
            change(&settings)
            return try ProxySnapshot(settings.configuration(), listeners: [], after: previous)
        }

        func lease(
            fresh: Bool = false, by snapshot: ProxySnapshot? = nil, for owner: UInt64 = 1
        ) async throws -> ClientConnection {
            let snapshot = snapshot ?? first
            if !fresh, let parked = upstreams.checkOut(0, snapshot, owner: owner) { return parked }
            let dialing = upstreams.beginDial(0, snapshot, Cancellation(), group: nil)
            await dialing.ended()
            return try dialing.connection()
        }

        func giveBack(_ connection: ClientConnection, by snapshot: ProxySnapshot? = nil, of owner: UInt64 = 1) {
            upstreams.park(connection, 0, snapshot ?? first, owner: owner)
        }
    }
}
