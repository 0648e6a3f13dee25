import Testing
import TunnelCore
import TunnelTLS

@testable import TunnelIO

private let second: UInt64 = 1_000_000_000
private let plenty = ConnectionPool.Limits(maxParked: 8, idleTimeout: 3_600 * second)

@Suite struct ConnectionPoolTests {
    @Test func theLastUsedIsTheFirstOut() throws {
        try onPool { pool, reactor in
            let (first, second, third) = (try Pair(reactor), try Pair(reactor), try Pair(reactor))
            for pair in [first, second, third] {
                #expect(pool.park(pair.near, generation: 1, limits: plenty))
            }
            #expect(pool.count == 3)
            for pair in [third, second, first] { #expect(pool.checkOut(generation: 1) === pair.near) }
            #expect(pool.checkOut(generation: 1) == nil)
            #expect([first, second, third].allSatisfy { !$0.isClosed })
        }
    }

    /// One more than may be parked is closed, and those that are parked stay.
    @Test(arguments: [0, 1, 2]) func noMoreAreParkedThanAllowed(_ limit: Int) throws {
        try onPool { pool, reactor in
            let pairs = try (0...limit).map { _ in try Pair(reactor) }
            let limits = ConnectionPool.Limits(maxParked: limit, idleTimeout: second)
            let kept = pairs.map { pool.park($0.near, generation: 1, limits: limits) }
            #expect(kept == (0...limit).map { $0 < limit })
            #expect(pairs.map(\.isClosed) == kept.map { !$0 })
            #expect(pool.count == limit)
        }
    }

    // MARK: The peer's end

    /// Its end was reported before it was parked, so nobody will report it again.
    @Test func aConnectionThatHasEndedIsNotParked() throws {
        try onPool { pool, reactor in
            let pair = try Pair(reactor)
            pair.peer.shutDown()
            await turns(on: reactor)
            #expect(!pool.park(pair.near, generation: 1, limits: plenty))
            #expect(pool.count == 0 && pair.isClosed)
        }
    }

    /// The end came in this turn: no report of it has been looked at.
    @Test func anEndThatIsNotReportedYetIsSeenAtCheckOut() throws {
        try onPool { pool, reactor in
            let (old, new) = (try Pair(reactor), try Pair(reactor))
            for pair in [old, new] { try await pair.settle(reactor) }
            for pair in [old, new] { pool.park(pair.near, generation: 1, limits: plenty) }
            new.peer.shutDown()
            #expect(pool.checkOut(generation: 1) === old.near)
            #expect(new.isClosed && !old.isClosed && pool.count == 0)
        }
    }

    /// What came unasked for could be taken for the next response.
    @Test func oneThatSpeaksUnaskedIsNotHandedOut() throws {
        try onPool { pool, reactor in
            let pair = try Pair(reactor)
            try await pair.settle(reactor)
            pool.park(pair.near, generation: 1, limits: plenty)
            pair.peer.send("HTTP/1.1 408 Request Timeout\r\n\r\n")
            #expect(pool.checkOut(generation: 1) == nil)
            #expect(pair.isClosed)
        }
    }

    @Test(arguments: ["", "408"]) func aReportedEndTakesItOut(_ lastWords: String) throws {
        try onPool { pool, reactor in
            let (first, second) = (try Pair(reactor), try Pair(reactor))
            for pair in [first, second] { pool.park(pair.near, generation: 1, limits: plenty) }
            if lastWords.isEmpty { first.peer.shutDown() } else { first.peer.send(lastWords) }
            while pool.count == 2 { await turns(1, on: reactor) }
            #expect(first.isClosed && !second.isClosed)
            #expect(pool.checkOut(generation: 1) === second.near)
        }
    }

    /// TLS 1.3 tickets come when the server likes. They are no end, whether they are reported or asked for.
    @Test(arguments: [true, false]) func ticketsAreNoEnd(_ areReported: Bool) throws {
        let (descriptor, peer) = try socketPair()
        let done = ThreadSignal()
        let server = OnThread { () -> Bool in
            guard let tls = try? TLSPeer(peer) else { return false }
            _ = done.wait(seconds: 20)
            tls.close()
            return true
        }
        try onPool { pool, reactor in
            let socket = try Socket(adopting: descriptor, on: reactor)
            let near = ClientConnection(socket, .loopback(1), on: reactor)
            try await near.startTLS(TestTLS.client(), serverName: "localhost", timeout: 10 * second)
            pool.park(near, generation: 1, limits: plenty)
            if areReported {
                await turns(9, on: reactor)
                #expect(pool.count == 1)
            } else {
                // The server's thread has written its tickets once the handshake is through; wait for them unseen.
                while !socket.peek() { continue }
            }
            #expect(pool.checkOut(generation: 1) === near)
            pool.park(near, generation: 1, limits: plenty)
            done.post()
            while pool.count == 1 { await turns(1, on: reactor) }
            #expect(socket.isClosed)
        }
        #expect(server.value() == true)
    }

    /// close_notify is an end, also while the connection below stays open.
    @Test func aSessionThatHasEndedIsNotHandedOut() throws {
        let (descriptor, peer) = try socketPair()
        let (goes, gone, isOver) = (ThreadSignal(), ThreadSignal(), ThreadSignal())
        let server = OnThread { () -> Bool in
            guard let tls = try? TLSPeer(peer) else { return false }
            _ = goes.wait(seconds: 20)
            tls.close()
            gone.post()
            return isOver.wait(seconds: 20)
        }
        try onPool { pool, reactor in
            let socket = try Socket(adopting: descriptor, on: reactor)
            let near = ClientConnection(socket, .loopback(1), on: reactor)
            try await near.startTLS(TestTLS.client(), serverName: "localhost", timeout: 10 * second)
            // Its tickets, which come before anything else.
            await turns(9, on: reactor)
            #expect(near.isQuiet(asking: true))
            pool.park(near, generation: 1, limits: plenty)
            goes.post()
            #expect(gone.wait(seconds: 20))
            #expect(pool.checkOut(generation: 1) == nil)
            #expect(socket.isClosed)
            isOver.post()
        }
        #expect(server.value() == true)
    }

    // MARK: Time

    @Test func idleOnesAreNotHandedOutAfterTheirTime() throws {
        try onPool { pool, reactor in
            for (age, isGood) in [(5 * second - 1, true), (5 * second, false)] {
                let pair = try Pair(reactor)
                pool.park(pair.near, generation: 1, limits: .init(maxParked: 8, idleTimeout: 5 * second))
                reactor.timers.now += age
                #expect((pool.checkOut(generation: 1) === pair.near) == isGood)
                #expect(pair.isClosed == !isGood)
            }
        }
    }

    /// The last second that the peer grants is not used, and of a short time the second half.
    @Test func thePeersOwnLimitIsHonoured() throws {
        try onPool { pool, reactor in
            for (age, isGood) in [(4 * second - 1, true), (4 * second, false)] {
                let pair = try Pair(reactor)
                #expect(pool.park(pair.near, generation: 1, limits: plenty, keepAliveTimeout: 5 * second))
                reactor.timers.now += age
                #expect((pool.checkOut(generation: 1) === pair.near) == isGood)
            }
            for (age, isGood) in [(second / 2 - 1, true), (second / 2, false)] {
                let pair = try Pair(reactor)
                #expect(pool.park(pair.near, generation: 1, limits: plenty, keepAliveTimeout: second))
                reactor.timers.now += age
                #expect((pool.checkOut(generation: 1) === pair.near) == isGood)
            }
            for (granted, isKept) in [(0, false), (1, true), (second, true), (.max, true)] as [(UInt64, Bool)] {
                let pair = try Pair(reactor)
                #expect(pool.park(pair.near, generation: 1, limits: plenty, keepAliveTimeout: granted) == isKept)
                #expect(pair.isClosed == !isKept)
            }
            // The peer's limit does not prolong ours, and without one of ours none is parked.
            let pair = try Pair(reactor)
            let short = ConnectionPool.Limits(maxParked: 8, idleTimeout: second)
            pool.park(pair.near, generation: 1, limits: short, keepAliveTimeout: 60 * second)
            reactor.timers.now += second
            #expect(pool.checkOut(generation: 1) !== pair.near)
            let none = try Pair(reactor)
            #expect(!pool.park(none.near, generation: 1, limits: .init(maxParked: 8, idleTimeout: 0)))
        }
    }

    /// The sweep closes each when its time has come, also where the later one has the shorter time.
    @Test func overdueOnesAreClosed() throws {
        try onPool { pool, reactor in
            let (long, short, longest) = (try Pair(reactor), try Pair(reactor), try Pair(reactor))
            let begin = reactor.now
            pool.park(long.near, generation: 1, limits: .init(maxParked: 8, idleTimeout: 10 * second))
            pool.park(short.near, generation: 1, limits: plenty, keepAliveTimeout: 6 * second)
            pool.park(longest.near, generation: 1, limits: plenty)
            for (age, left) in [(5 * second - 1, 3), (5 * second, 2), (10 * second - 1, 2), (10 * second, 1)] {
                reactor.timers.now = begin + age
                while let action = reactor.timers.popDue(now: reactor.now) { action() }
                #expect(pool.count == left)
            }
            #expect(short.isClosed && long.isClosed && !longest.isClosed)
        }
    }

    // MARK: Generations

    @Test func aNewGenerationClosesThoseOfTheOldOne() throws {
        try onPool { pool, reactor in
            let (old, new) = (try Pair(reactor), try Pair(reactor))
            pool.park(old.near, generation: 1, limits: plenty)
            #expect(pool.checkOut(generation: 2) == nil)
            #expect(old.isClosed)
            pool.park(new.near, generation: 2, limits: plenty)
            #expect(pool.checkOut(generation: 2) === new.near)
        }
    }

    /// A request that began before a reload ends after it: its connection goes, and what the new ones use stays.
    @Test func aLateConnectionOfAnOldGenerationChangesNothing() throws {
        try onPool { pool, reactor in
            let (old, new) = (try Pair(reactor), try Pair(reactor))
            #expect(pool.park(new.near, generation: 2, limits: plenty))
            #expect(!pool.park(old.near, generation: 1, limits: plenty))
            #expect(old.isClosed && !new.isClosed && pool.count == 1)
            #expect(pool.checkOut(generation: 1) == nil)
            #expect(pool.count == 1)
            #expect(pool.checkOut(generation: 2) === new.near)
        }
    }

    @Test func aGenerationMayBeginBeforeItsFirstRequest() throws {
        try onPool { pool, reactor in
            let pair = try Pair(reactor)
            pool.park(pair.near, generation: 1, limits: plenty)
            #expect(pool.advance(to: 1) && pool.count == 1)
            #expect(pool.advance(to: 2) && pool.count == 0 && pair.isClosed)
            #expect(!pool.advance(to: 1))
        }
    }

    // MARK: The end

    @Test func closingAllLeavesNothing() throws {
        try onPool { pool, reactor in
            let pairs = try (0..<3).map { _ in try Pair(reactor) }
            for pair in pairs { pool.park(pair.near, generation: 1, limits: plenty) }
            pool.closeAll()
            #expect(pool.count == 0 && pairs.allSatisfy(\.isClosed))
            #expect(pairs.allSatisfy { $0.peer.isAtEnd() })
        }
    }

    @Test func aPoolThatGoesClosesWhatItHas() throws {
        let peer = try onLoop { loop in
            let pair = try Pair(loop.reactor)
            let pool = ConnectionPool(on: loop.reactor)
            pool.park(pair.near, generation: 1, limits: plenty)
            return pair.peer
        }
        #expect(peer.isAtEnd())
    }

    // MARK: Keep-Alive

    @Test(
        arguments: [
            ("timeout=5", 5), ("timeout=5, max=100", 5), ("max=100, timeout=5", 5), ("max=100,timeout=15", 15),
            ("Timeout=7", 7), (" timeout=8 ", 8), ("timeout=0", 0), ("timeout=99999999999999999999", 31_536_000),
            ("timeout=31536001", 31_536_000), ("timeout=31535999", 31_535_999),
            ("timeout=", nil), ("timeout=x", nil), ("timeout=5s", nil), ("timeout=\"5\"", nil), ("timeout 5", nil),
            ("max=5", nil), ("xtimeout=5", nil), ("", nil), (",,", nil), ("timeout", nil), ("5", nil),
        ] as [(String, UInt64?)]) func readsWhatThePeerGrants(_ value: String, _ seconds: UInt64?)
    {
        #expect(ConnectionPool.keepAliveTimeout(Array(value.utf8).span) == seconds.map { $0 * second })
    }
}

/// One parked connection and its other end.
private struct Pair {
    let near: ClientConnection
    let peer: Peer
    var isClosed: Bool { near.socket.isClosed }

    init(_ reactor: Reactor) throws {
        let (descriptor, peer) = try socketPair()
        near = ClientConnection(try Socket(adopting: descriptor, on: reactor), .loopback(1), on: reactor)
        self.peer = peer
    }

    /// Reads until nothing is left, as after a response: the socket then says that it is empty without asking.
    func settle(_ reactor: Reactor) async throws {
        peer.send("x")
        await turns(on: reactor)
        var buffer = ByteBuffer()
        while try near.receive(into: &buffer, limit: 64) != .nothing { continue }
    }
}

/// A pool on a loop, emptied in the end.
private func onPool(
    _ body: @escaping @Sendable (ConnectionPool, Reactor) async throws -> Void
) throws {
    try onLoop { loop in
        let pool = ConnectionPool(on: loop.reactor)
        defer { pool.closeAll() }
        try await body(pool, loop.reactor)
    }
}
