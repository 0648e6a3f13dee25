import Glibc
import Synchronization
import Testing
import TunnelCore

@testable import TunnelIO

private let second: UInt64 = 1_000_000_000
private let home = [IPAddress(v4: 0x0A00_0001)]

/// The process's part: who may have a thread.
@Suite struct NameServiceTests {
    /// Every loop of the process shares one look-up.
    @Test func aNameIsLookedUpOnceInTheProcess() throws {
        let (gate, asked) = (ThreadSignal(), Counter())
        let names = NameService { name in
            asked.add(name)
            _ = gate.wait(seconds: 20)
            return .success(home)
        }
        let loops = (0..<3).map { _ in
            OnThread { try? onLoop(names: names) { loop in await code(of: "app.test", on: loop.reactor) } }
        }
        let all = try onLoop { loop in
            await turns(on: loop.reactor) { names.waiters(of: "app.test") == 3 && asked.count > 0 }
        }
        #expect(all && asked.count == 1)
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

    /// Certificates are read while no name resolves.
    @Test func namesThatHangHoldUpNoOtherWork() throws {
        let (gate, done) = (ThreadSignal(), ThreadSignal())
        let names = NameService { _ in
            _ = gate.wait(seconds: 20)
            return .success(home)
        }
        try onLoop(names: names) { loop in
            for index in 0..<40 { request("\(index).test", on: loop.reactor) }
            while names.load.queued == 0 { await turns(1, on: loop.reactor) }
            #expect(BlockingPool.files.submit { done.post() })
            #expect(done.wait(seconds: 20))
            for _ in 0..<40 { gate.post() }
            while loop.reactor.resolver.waiting > 0 { await turns(1, on: loop.reactor) }
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

/// What the system says, asked by way of a name server that does as it is told.
@Suite struct SystemNamesTests {
    @Test func anAddressIsFound() throws {
        let found = try ask("app.example.", .address([10, 1, 2, 3]))
        #expect(try found.get() == [IPAddress(v4: 0x0A01_0203)])
    }

    /// A name that does not exist is the request's fault, a server that says nothing, or that it cannot say, is not.
    @Test func noSuchNameIsNotADeadServer() throws {
        #expect(try failure("app.example.", .noSuchName) == .nameNotFound)
        #expect(try failure("app.example.", .failure) == .timedOut)
        #expect(try failure("app.example.", .silence) == .timedOut)
    }

    private func failure(_ name: String, _ behaviour: NameServer.Behaviour) throws -> IOError.Code? {
        if case .failure(let error) = try ask(name, behaviour) { error.code } else { nil }
    }

    private func ask(_ name: String, _ behaviour: NameServer.Behaviour) throws -> NameService.Outcome {
        let server = try NameServer(behaviour)
        return try #require(OnThread { server.ask(name) }.value() ?? nil, "no resolver to be pointed elsewhere")
    }
}
