internal import Glibc
internal import Synchronization
package import TunnelCore

/// Asks the system for the addresses of names, for all loops of the process.
///
/// A look-up is a blocking call that nothing can cut short, and one whose name server is dead holds its thread for ten
/// seconds or more. So threads are what must be shared out. A name holds at most one, however many loops and requests
/// wait for it. Names whose last look-up timed out, or has hung for a second, may hold half of the threads, and they
/// together with names that have never answered three quarters: a name that answers always finds a thread. A look-up
/// that nobody waits for any more is not begun, and a failure stands for a second.
package final class NameService: Sendable {
    package typealias Outcome = Result<[IPAddress], IOError>
    package typealias LookUp = @Sendable (String) -> Outcome

    package static let shared = NameService()

    /// How long a failure is the response to whoever asks again.
    package static let failureLife: UInt64 = 1_000_000_000
    /// A look-up that has run for so long counts as one of a dead name.
    package static let hangLimit: UInt64 = 1_000_000_000
    /// Names remembered; past it, those that nobody asks for are forgotten.
    private static let maxNames = 4096

    private enum Standing { case new, answers, dead }
    private enum Stage { case none, queued, running(since: UInt64) }

    private struct Name {
        var standing = Standing.new
        var stage = Stage.none
        /// Each is to hear of the outcome once.
        var loops: [Loop] = []
        var failure: (error: IOError, at: UInt64)?
    }

    private struct State {
        var names: [String: Name] = [:]
        /// First come, first served, but for those that must not start yet.
        var queue: [String] = []
        var running: Set<String> = []

        /// Takes those out of the queue that may start now.
        mutating func startable(_ now: UInt64, _ threads: Int) -> [String] {
            guard !queue.isEmpty, running.count < threads else { return [] }
            var (dead, new) = (0, 0)
            for name in running {
                guard let entry = names[name], case .running(let since) = entry.stage else { continue }
                if entry.standing == .dead || now &- since >= NameService.hangLimit {
                    dead += 1
                } else if entry.standing == .new {
                    new += 1
                }
            }
            var started: [String] = []
            for name in queue where running.count < threads {
                switch names[name]?.standing {
                case .dead where dead < threads / 2: dead += 1
                case .new where dead + new < threads - threads / 4: new += 1
                case .answers: break
                default: continue
                }
                names[name]?.stage = .running(since: now)
                running.insert(name)
                started.append(name)
            }
            if !started.isEmpty { queue.removeAll { running.contains($0) } }
            return started
        }

        mutating func forgetIdle() {
            names = names.filter { _, entry in if case .none = entry.stage { false } else { true } }
        }
    }

    private let state = Mutex(State())
    private let standIns = Mutex<[String: LookUp]>([:])
    private let pool: BlockingPool
    private let threads: Int
    private let maxQueued: Int
    private let lookUp: LookUp
    private let clock: @Sendable () -> UInt64

    /// - Parameters:
    ///   - threads: look-ups at once.
    ///   - queued: names that may wait for a thread; past it they fail at once.
    ///   - lookUp: asks for one name, and blocks.
    ///   - clock: nanoseconds that never go back.
    package init(
        threads: Int = 16, queued: Int = 1024, lookUp: @escaping LookUp = NameService.ask,
        clock: @escaping @Sendable () -> UInt64 = { Reactor.clock() }
    ) {
        (self.threads, maxQueued, self.lookUp, self.clock) = (threads, queued, lookUp, clock)
        pool = BlockingPool("names", threads: threads, queued: threads)
    }

    /// Answers `name` in the system's place, for tests; `nil` ends that.
    package func standIn(for name: String, _ lookUp: LookUp?) {
        standIns.withLock { $0[name] = lookUp }
        state.withLock { $0.names[name]?.failure = nil }
    }

    // MARK: For a loop

    /// Has `loop` hear of the addresses of `name`, by ``Resolver/finish(_:_:)``.
    ///
    /// - Returns: why it will not; `nil` when it will.
    func request(_ name: String, for loop: Loop) -> IOError? {
        let now = clock()
        let (refusal, ready) = state.withLock { state -> (IOError?, [String]) in
            if let failure = state.names[name]?.failure, now &- failure.at < NameService.failureLife {
                return (failure.error, [])
            }
            if state.names[name] == nil, state.names.count >= NameService.maxNames { state.forgetIdle() }
            var entry = state.names[name] ?? Name()
            if case .none = entry.stage {
                guard state.queue.count < maxQueued else { return (IOError(.system(EAGAIN), "lookup"), []) }
                entry.stage = .queued
                state.queue.append(name)
            }
            if !entry.loops.contains(where: { $0 === loop }) { entry.loops.append(loop) }
            state.names[name] = entry
            return (nil, state.startable(now, threads))
        }
        start(ready)
        return refusal
    }

    /// Nobody on `loop` waits for `name` any more.
    func withdraw(_ name: String, for loop: Loop) {
        state.withLock { state in
            guard var entry = state.names[name] else { return }
            entry.loops.removeAll { $0 === loop }
            if entry.loops.isEmpty, case .queued = entry.stage {
                entry.stage = .none
                state.queue.removeAll { $0 == name }
            }
            state.names[name] = entry
        }
    }

    /// Look-ups that wait for a thread, and those that have one.
    package var load: (queued: Int, running: Int) { state.withLock { ($0.queue.count, $0.running.count) } }

    /// Loops that wait for `name`.
    func waiters(of name: String) -> Int { state.withLock { $0.names[name]?.loops.count ?? 0 } }

    /// Names that something is known of.
    var remembered: Int { state.withLock { $0.names.count } }

    // MARK: Looking up

    private func start(_ names: [String]) {
        for name in names {
            let isTaken = pool.submit { [self] in
                finish(name, (standIns.withLock { $0[name] } ?? lookUp)(name))
            }
            if !isTaken { finish(name, .failure(IOError(.system(EAGAIN), "lookup"))) }
        }
    }

    private func finish(_ name: String, _ outcome: Outcome) {
        let now = clock()
        let (loops, ready) = state.withLock { state -> ([Loop], [String]) in
            state.running.remove(name)
            var entry = state.names[name] ?? Name()
            entry.stage = .none
            switch outcome {
            case .success: (entry.standing, entry.failure) = (.answers, nil)
            case .failure(let error):
                // That a name does not exist is an answer too.
                entry.standing = error.code == .nameNotFound ? .answers : error.code == .timedOut ? .dead : .new
                entry.failure = (error, now)
            }
            let loops = entry.loops
            entry.loops = []
            state.names[name] = entry
            return (loops, state.startable(now, threads))
        }
        for loop in loops { loop.spawn { loop in loop.reactor.resolver.finish(name, outcome) } }
        start(ready)
    }

    /// Asks the system. Blocks.
    package static func ask(_ name: String) -> Outcome {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(name, nil, &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        switch result {
        case 0: break
        // No server that could know has said anything, or it said that it cannot know now.
        case EAI_AGAIN: return .failure(IOError(.timedOut, "lookup"))
        case EAI_SYSTEM: return .failure(.fromErrno("lookup"))
        case EAI_MEMORY: return .failure(IOError(.system(ENOMEM), "lookup"))
        default: return .failure(IOError(.nameNotFound, "lookup"))
        }
        var addresses: [IPAddress] = []
        var next = list
        while let entry = next {
            if case .ip(let ip, _) = SocketAddress(copying: entry.pointee.ai_addr), !addresses.contains(ip) {
                addresses.append(ip)
            }
            next = entry.pointee.ai_next
        }
        return addresses.isEmpty ? .failure(IOError(.nameNotFound, "lookup")) : .success(addresses)
    }
}
