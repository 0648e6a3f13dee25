import Glibc
import Synchronization
import Testing
import TunnelCore

@testable import TunnelIO

private let second: UInt64 = 1_000_000_000
private let home = [IPAddress(v4: 0x0A00_0001)]

/// One loop's part: what requests wait for, and for how long.
@Suite struct ResolverTests {
    @Test(arguments: ["10.1.2.3", "::1", "fd00::7"]) func aLiteralIsItself(_ text: String) throws {
        let found = try onLoop { loop in
            try await loop.reactor.resolver.resolve(text, timeout: 0, ttl: 0).map(\.description)
        }
        #expect(found == [text])
    }

    /// RFC 6761 §6.3. Nobody is asked, and IPv4 comes first.
    @Test(arguments: ["localhost", "LocalHost", "localhost.", "app.localhost", "a.b.localhost."])
    func localhostIsThisMachine(_ name: String) throws {
        let asked = Counter()
        let names = NameService { _ in
            asked.add("")
            return .success(home)
        }
        let found = try onLoop(names: names) { loop in
            try await loop.reactor.resolver.resolve(name, timeout: 10 * second, ttl: 0).map(\.description)
        }
        #expect(found == ["127.0.0.1", "::1"])
        #expect(asked.count == 0)
    }

    @Test(arguments: ["localhost.example", "notlocalhost", "localhosts", "local.host"])
    func othersAreAskedFor(_ name: String) throws {
        let found = try onLoop(names: NameService { _ in .success(home) }) { loop in
            try await loop.reactor.resolver.resolve(name, timeout: 10 * second, ttl: 0)
        }
        #expect(found == home)
    }

    /// All who wait for a name on a loop share one look-up; one that waits too long, or is called back, leaves before.
    @Test func waitersShareALookupAndNoneWaitsForever() throws {
        let (gate, asked) = (ThreadSignal(), Counter())
        let names = NameService { name in
            asked.add(name)
            _ = gate.wait(seconds: 20)
            return .success(home)
        }
        let (late, cancelled) = try onLoop(names: names) { loop in
            let reactor = loop.reactor
            let (found, late, cancelled) = (Box(0), Box<IOError.Code?>(nil), Box<IOError.Code?>(nil))
            let cancellation = Cancellation()
            for _ in 0..<2_000 {
                reactor.spawn(with: Box2(reactor, found)) { both in
                    if await code(of: "app.test", on: both.first) == nil { both.second.value += 1 }
                }
            }
            reactor.spawn(with: Box2(reactor, late)) { both in
                both.second.value = await code(of: "app.test", on: both.first, timeout: 1_000_000)
            }
            reactor.spawn(with: Box2(Box2(reactor, cancellation), cancelled)) { both in
                both.second.value = await code(
                    of: "app.test", on: both.first.first, cancellation: both.first.second)
            }
            while reactor.resolver.waiting < 2_002 { await turns(1, on: reactor) }
            cancellation.cancel()
            while late.value == nil || cancelled.value == nil { await turns(on: reactor) }
            // Whoever has left is not kept.
            #expect(reactor.resolver.waiting == 2_000)
            gate.post()
            while found.value < 2_000 { await turns(on: reactor) }
            #expect(reactor.resolver.waiting == 0)
            return (late.value, cancelled.value)
        }
        #expect(late == .timedOut)
        #expect(cancelled == .closed)
        #expect(asked.count == 1)
    }

    /// What came is good for each who asks within a time of its own.
    @Test func addressesAreGoodForTheirTime() {
        var cache = NameCache()
        cache.keep(home, of: "a.test", now: 100)
        #expect(cache.addresses(of: "a.test", noOlderThan: 50, now: 149) == home)
        #expect(cache.addresses(of: "a.test", noOlderThan: 50, now: 150) == nil)
        #expect(cache.addresses(of: "a.test", noOlderThan: 51, now: 150) == home)
        #expect(cache.addresses(of: "a.test", noOlderThan: 0, now: 100) == nil)
        #expect(cache.addresses(of: "b.test", noOlderThan: 50, now: 100) == nil)
        cache.keep([], of: "a.test", now: 150)
        #expect(cache.addresses(of: "a.test", noOlderThan: 50, now: 199) == [])
    }

    @Test func theCacheIsBounded() {
        var cache = NameCache()
        for index in 0..<NameCache.maxNames { cache.keep(home, of: "\(index)", now: 0) }
        #expect(cache.addresses(of: "0", noOlderThan: 1, now: 0) == home)
        cache.keep(home, of: "0", now: 0)
        #expect(cache.addresses(of: "1", noOlderThan: 1, now: 0) == home)
        cache.keep(home, of: "one more", now: 0)
        #expect(cache.addresses(of: "1", noOlderThan: 1, now: 0) == nil)
        #expect(cache.addresses(of: "one more", noOlderThan: 1, now: 0) == home)
    }

    /// The time to live is the one given with each call: within it nobody is asked, after it somebody is.
    @Test func theTimeToLiveIsHonoured() throws {
        let asked = Counter()
        let names = NameService { name in
            asked.add(name)
            return .success(home)
        }
        let life: UInt64 = 50_000_000
        let isExact = try onLoop(names: names) { loop in
            let reactor = loop.reactor
            _ = try await reactor.resolver.resolve("a.test", timeout: 10 * second, ttl: life)
            let found = reactor.now
            while true {
                let used = reactor.now
                _ = try await reactor.resolver.resolve("a.test", timeout: 10 * second, ttl: life)
                if (asked.count > 1) != (used - found >= life) { return false }
                if asked.count > 1 { return true }
                await turns(1, on: reactor)
            }
        }
        #expect(isExact)
    }
}

/// The process's part: who may have a thread.
@Suite struct NameServiceTests {
    /// Every loop of the process shares one look-up.
    @Test func aNameIsLookedUpOnceInTheProcess() async throws {
        let (gate, asked) = (ThreadSignal(), Counter())
        let names = NameService { name in
            asked.add(name)
            _ = gate.wait(seconds: 20)
            return .success(home)
        }
        let loops = (0..<3).map { _ in
            OnThread { try? onLoop(names: names) { loop in await code(of: "app.test", on: loop.reactor) } }
        }
        while names.waiters(of: "app.test") < 3 { await Task.yield() }
        #expect(asked.count == 1)
        gate.post()
        for loop in loops { #expect(loop.value() == .some(.some(nil))) }
        #expect(asked.count == 1 && names.load == (0, 0))
    }

    /// Eight dead names, asked for again and again, and a name that has an address: it does not wait for them.
    @Test func deadNamesHoldUpNobody() throws {
        let gate = ThreadSignal()
        let names = NameService { name in
            guard name.hasPrefix("dead") else { return .success(home) }
            _ = gate.wait(seconds: 20)
            return .failure(IOError(.timedOut, "lookup"))
        }
        try onLoop(names: names) { loop in
            let reactor = loop.reactor
            for round in 0..<3 {
                for index in 0..<8 {
                    reactor.spawn(with: reactor) { _ = await code(of: "dead\(index)", on: $0, timeout: 20_000_000) }
                }
                await turns(on: reactor)
                // Were it to wait for one of them, it would wait for ever.
                let result = await code(of: "alive\(round)", on: reactor)
                #expect(result == nil)
                while reactor.resolver.waiting > 0 { await turns(1, on: reactor) }
            }
            for _ in 0..<8 { gate.post() }
            while names.load.running > 0 { await turns(1, on: reactor) }
        }
    }

    /// Names whose last look-up timed out hold half of the threads, and not one more.
    @Test func knownDeadNamesHoldHalf() throws {
        let time = TestClock()
        let (gate, isHanging, asked) = (ThreadSignal(), Flag(), Counter())
        let names = NameService(
            threads: 4,
            lookUp: { name in
                asked.add(name)
                if isHanging.isSet { _ = gate.wait(seconds: 20) }
                return name.hasPrefix("dead") ? .failure(IOError(.timedOut, "lookup")) : .success(home)
            }, clock: { time.now })
        try onLoop(names: names) { loop in
            let reactor = loop.reactor
            for index in 0..<3 {
                let result = await code(of: "dead\(index)", on: reactor)
                #expect(result == .timedOut)
            }
            time.advance(NameService.failureLife)
            isHanging.set()
            for index in 0..<2 { request("dead\(index)", on: reactor) }
            while asked.count < 5 { await turns(1, on: reactor) }
            request("dead2", on: reactor)
            await turns(on: reactor)
            #expect(names.load == (queued: 1, running: 2))
            // Others pass it by.
            request("alive", on: reactor)
            while asked.count < 6 { await turns(1, on: reactor) }
            #expect(names.load == (queued: 1, running: 3) && asked.of("dead2") == 1)
            // As soon as one of the two is done it has its turn.
            for _ in 0..<4 { gate.post() }
            while reactor.resolver.waiting > 0 { await turns(1, on: reactor) }
            #expect(asked.of("dead2") == 2)
        }
    }

    /// Names that never answered leave a quarter of the threads to those that have; these may have all.
    @Test func newNamesLeaveAQuarter() throws {
        let (gate, isHanging, asked) = (ThreadSignal(), Flag(), Counter())
        let time = TestClock()
        let names = NameService(
            threads: 4,
            lookUp: { name in
                asked.add(name)
                if isHanging.isSet { _ = gate.wait(seconds: 20) }
                return .success(home)
            }, clock: { time.now })
        try onLoop(names: names) { loop in
            let reactor = loop.reactor
            for name in ["known0", "known1"] { _ = await code(of: name, on: reactor) }
            isHanging.set()
            for index in 0..<4 { request("new\(index)", on: reactor) }
            while asked.count < 5 { await turns(1, on: reactor) }
            #expect(names.load == (queued: 1, running: 3))
            request("known0", on: reactor)
            while asked.count < 6 { await turns(1, on: reactor) }
            #expect(names.load == (queued: 1, running: 4) && asked.of("known0") == 2)
            request("known1", on: reactor)
            await turns(on: reactor)
            #expect(names.load == (queued: 2, running: 4))
            // One thread is free: for the name that is known, although the other one came first.
            gate.post()
            while asked.of("known1") < 2 && asked.of("new3") < 1 { await turns(1, on: reactor) }
            for _ in 0..<6 { gate.post() }
            while reactor.resolver.waiting > 0 { await turns(1, on: reactor) }
        }
    }

    /// A look-up that has run for a second counts as one of a dead name.
    @Test func aHangingNameCountsAsDead() throws {
        let time = TestClock()
        let (gate, isHanging, asked) = (ThreadSignal(), Flag(), Counter())
        let names = NameService(
            threads: 4,
            lookUp: { name in
                asked.add(name)
                if name == "dead" && !isHanging.isSet { return .failure(IOError(.timedOut, "lookup")) }
                _ = gate.wait(seconds: 20)
                return .success(home)
            }, clock: { time.now })
        try onLoop(names: names) { loop in
            let reactor = loop.reactor
            _ = await code(of: "dead", on: reactor)
            time.advance(NameService.failureLife)
            isHanging.set()
            for index in 0..<2 { request("new\(index)", on: reactor) }
            while asked.count < 3 { await turns(1, on: reactor) }
            time.advance(NameService.hangLimit)
            request("dead", on: reactor)
            await turns(on: reactor)
            #expect(names.load == (queued: 1, running: 2))
            for _ in 0..<3 { gate.post() }
            while reactor.resolver.waiting > 0 { await turns(1, on: reactor) }
        }
        #expect(asked.of("dead") == 2)
    }

    /// What nobody waits for any more is not begun, and its place is free.
    @Test func lookUpsThatNobodyWaitsForAreDropped() throws {
        let (gate, asked) = (ThreadSignal(), Counter())
        let names = NameService(threads: 1, queued: 2) { name in
            asked.add(name)
            _ = gate.wait(seconds: 20)
            return .success(home)
        }
        try onLoop(names: names) { loop in
            let reactor = loop.reactor
            request("first", on: reactor)
            while asked.count < 1 { await turns(1, on: reactor) }
            // The queue takes two: the third fails at once.
            request("second", on: reactor, timeout: 50_000_000)
            request("third", on: reactor)
            await turns(on: reactor)
            #expect(names.load == (queued: 2, running: 1))
            let refused = await code(of: "fourth", on: reactor)
            #expect(refused == .system(EAGAIN))
            while reactor.resolver.waiting > 2 { await turns(1, on: reactor) }
            #expect(names.load == (queued: 1, running: 1))
            for _ in 0..<2 { gate.post() }
            while reactor.resolver.waiting > 0 { await turns(1, on: reactor) }
        }
        #expect(asked.of("second") == 0 && asked.of("third") == 1)
    }

    /// A failure stands for a second, each for what it is; then the name is asked for again.
    @Test(arguments: [IOError.Code.nameNotFound, .timedOut])
    func aFailureStandsForASecond(_ kind: IOError.Code) throws {
        let (time, asked) = (TestClock(), Counter())
        let names = NameService(
            lookUp: { name in
                asked.add(name)
                return .failure(IOError(kind, "lookup"))
            }, clock: { time.now })
        let codes = try onLoop(names: names) { loop in
            var codes = [await code(of: "gone.test", on: loop.reactor)]
            time.advance(NameService.failureLife - 1)
            codes.append(await code(of: "gone.test", on: loop.reactor))
            #expect(asked.count == 1)
            time.advance(1)
            codes.append(await code(of: "gone.test", on: loop.reactor))
            return codes
        }
        #expect(codes == [kind, kind, kind])
        #expect(asked.count == 2)
    }

    /// The names remembered are bounded, and those that somebody waits for stay.
    @Test func theMemoryIsBounded() throws {
        let (gate, asked) = (ThreadSignal(), Counter())
        let names = NameService { name in
            asked.add(name)
            if name == "slow" { _ = gate.wait(seconds: 20) }
            return .failure(IOError(.nameNotFound, "lookup"))
        }
        try onLoop(names: names) { loop in
            let reactor = loop.reactor
            request("slow", on: reactor)
            for index in 0..<4_200 { _ = await code(of: "\(index).test", on: reactor) }
            #expect(names.remembered <= 4_096)
            #expect(names.waiters(of: "slow") == 1)
            gate.post()
            while reactor.resolver.waiting > 0 { await turns(1, on: reactor) }
        }
    }

    private func request(_ name: String, on reactor: Reactor, timeout: UInt64 = 20 * second) {
        reactor.spawn(with: reactor) { _ = await code(of: name, on: $0, timeout: timeout) }
    }
}

/// Why a name has no address; `nil` when it has.
private func code(
    of name: String, on reactor: Reactor, timeout: UInt64 = 20 * second, cancellation: Cancellation? = nil
) async -> IOError.Code? {
    do throws(IOError) {
        _ = try await reactor.resolver.resolve(name, timeout: timeout, ttl: 0, cancellation: cancellation)
        return nil
    } catch { return error.code }
}

/// Which names were looked up.
private final class Counter: Sendable {
    private let names = Mutex<[String]>([])
    var count: Int { names.withLock(\.count) }
    func of(_ name: String) -> Int { names.withLock { $0.count { $0 == name } } }
    func add(_ name: String) { names.withLock { $0.append(name) } }
}

private final class TestClock: Sendable {
    private let value = Atomic<UInt64>(1_000 * second)
    var now: UInt64 { value.load(ordering: .relaxed) }
    func advance(_ nanoseconds: UInt64) { value.add(nanoseconds, ordering: .relaxed) }
}
