import Testing
import TunnelCore
import TunnelIO

@Suite(.serialized) struct ResolverTests {
    private static let second: UInt64 = 1_000_000_000

    @Test(arguments: ["10.1.2.3", "::1", "fd00::7"]) func aLiteralIsItself(_ text: String) throws {
        let found = try onLoop { loop in
            try await loop.reactor.resolver.resolve(text, timeout: 0, ttl: 0).map(\.description)
        }
        #expect(found == [text])
    }

    @Test func localhostIsALoopbackAddress() throws {
        let found = try onLoop { loop in
            try await loop.reactor.resolver.resolve("localhost", timeout: 10 * ResolverTests.second, ttl: 0)
        }
        #expect(found.contains { $0 == IPAddress(v4: 0x7F00_0001) || $0 == IPAddress(v6High: 0, low: 1) })
    }

    /// RFC 6761 §6.4: no name ends in `.invalid`. Without a name server the lookup is cut short instead.
    @Test func anUnknownNameIsAnError() throws {
        let code = try onLoop { loop in
            do throws(IOError) {
                _ = try await loop.reactor.resolver.resolve(
                    "nowhere.invalid", timeout: 10 * ResolverTests.second, ttl: 0)
                return IOError.Code.closed
            } catch { return error.code }
        }
        #expect(code == .nameNotFound || code == .timedOut)
    }

    /// The pool's queue takes 1,024 pieces of work. More waiters than that for one name are all served, so they share
    /// one lookup; one that waits too long, or is called back, is served before.
    @Test func waitersShareALookupAndNoneWaitsForever() throws {
        let (found, late, cancelled) = try onLoop { loop in
            let reactor = loop.reactor
            let gate = ThreadSignal()
            for _ in 0..<4 { _ = BlockingPool.shared.submit { _ = gate.wait(seconds: 20) } }
            let found = Box(0)
            let late = Box<IOError.Code?>(nil)
            let cancelled = Box<IOError.Code?>(nil)
            let cancellation = Cancellation()
            for _ in 0..<2_000 {
                reactor.spawn(with: Box2(reactor, found)) { both in
                    let addresses = try? await both.first.resolver.resolve(
                        "localhost", timeout: 20 * ResolverTests.second, ttl: 0)
                    if addresses?.isEmpty == false { both.second.value += 1 }
                }
            }
            reactor.spawn(with: Box2(reactor, late)) { both in
                do throws(IOError) {
                    _ = try await both.first.resolver.resolve("localhost", timeout: 1_000_000, ttl: 0)
                } catch { both.second.value = error.code }
            }
            reactor.spawn(with: Box2(Box2(reactor, cancellation), cancelled)) { both in
                do throws(IOError) {
                    _ = try await both.first.first.resolver.resolve(
                        "localhost", timeout: 20 * ResolverTests.second, ttl: 0, cancellation: both.first.second)
                } catch { both.second.value = error.code }
            }
            await turns(on: reactor)
            cancellation.cancel()
            while late.value == nil || cancelled.value == nil { await turns(on: reactor) }
            for _ in 0..<4 { gate.post() }
            while found.value < 2_000 { await turns(on: reactor) }
            return (found.value, late.value, cancelled.value)
        }
        #expect(found == 2_000)
        #expect(late == .timedOut)
        #expect(cancelled == .closed)
    }

    /// While an answer is kept nobody asks again: it is there although no thread is.
    @Test func anAnswerIsKeptForItsTime() throws {
        let found = try onLoop { loop in
            let resolver = loop.reactor.resolver
            let first = try await resolver.resolve(
                "localhost", timeout: 10 * ResolverTests.second, ttl: 60 * ResolverTests.second)
            let gate = ThreadSignal()
            for _ in 0..<4 { _ = BlockingPool.shared.submit { _ = gate.wait(seconds: 20) } }
            defer { for _ in 0..<4 { gate.post() } }
            return try await resolver.resolve("localhost", timeout: 1_000_000, ttl: 60 * ResolverTests.second) == first
        }
        #expect(found)
    }
}
