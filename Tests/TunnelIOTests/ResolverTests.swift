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
