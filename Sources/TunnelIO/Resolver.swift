package import TunnelCore

/// Turns names into addresses for one loop: off the loop, in bounded time, and each name only once at a time.
///
/// What the loop's requests wait for is gathered here; the look-ups themselves are ``NameService``'s.
package final class Resolver {
    private final class Waiter {
        var continuation: UnsafeContinuation<Void, Never>?
        var result: NameService.Outcome?
        let reactor: Reactor
        lazy var deadline = Deadline(on: reactor) { [unowned self] in
            finish(.failure(IOError(.timedOut, "lookup")))
        }

        init(_ reactor: Reactor) { self.reactor = reactor }

        func finish(_ result: NameService.Outcome) {
            guard self.result == nil else { return }
            self.result = result
            continuation?.resume()
            continuation = nil
        }
    }

    private unowned let reactor: Reactor
    private let names: NameService
    private var cache = NameCache()
    /// A name is in it while somebody waits, and then the service knows that this loop does.
    private var pending: [String: [Waiter]] = [:]
    /// What came of look-ups so far. A literal address is none, nor is `localhost`.
    package private(set) var counts = LookUpCounts()

    init(_ reactor: Reactor, _ names: NameService) { (self.reactor, self.names) = (reactor, names) }

    /// Those that wait for a name.
    package var waiting: Int { pending.values.reduce(0) { $0 + $1.count } }

    /// The addresses of `name`, which may itself be one.
    ///
    /// - Parameters:
    ///   - timeout: nanoseconds to wait for a response.
    ///   - ttl: nanoseconds for which addresses found before are good enough.
    ///   - cancellation: gives up before `timeout`.
    /// - Throws: ``IOError``: `.nameNotFound` when there is no such name, `.timedOut` when nobody who could know has
    ///   said anything, `.closed` when called back, `.system` when nobody can be asked.
    package func resolve(
        _ name: String, timeout: UInt64, ttl: UInt64, cancellation: Cancellation? = nil
    ) async throws(IOError) -> [IPAddress] {
        if let literal = IPAddress(name) { return [literal] }
        if let known = cache.addresses(of: name, noOlderThan: ttl, now: reactor.now) {
            counts.add(.cached)
            return known
        }
        if let loopback = Resolver.loopback(name) { return loopback }
        let waiter = Waiter(reactor)
        if pending[name] == nil, let error = names.request(name, for: reactor.loop) {
            counts.add(error)
            throw error
        }
        pending[name, default: []].append(waiter)
        cancellation?.arm { [unowned waiter] in waiter.finish(.failure(IOError(.closed, "lookup"))) }
        if waiter.result == nil {
            waiter.deadline.set(after: timeout)
            await withUnsafeContinuation { waiter.continuation = $0 }
        }
        cancellation?.disarm()
        leave(name, waiter)
        switch waiter.result {
        case .success(let addresses):
            counts.add(.ok)
            return addresses
        case .failure(let error):
            counts.add(error)
            throw error
        case nil: throw IOError(.closed, "lookup")
        }
    }

    /// Whether ``resolve(_:timeout:ttl:cancellation:)`` would ask nobody, because it was told before.
    package func remembers(_ name: String, ttl: UInt64) -> Bool {
        cache.addresses(of: name, noOlderThan: ttl, now: reactor.now) != nil
    }

    /// One that has its result stays with nobody; the last one takes the loop's request back.
    private func leave(_ name: String, _ waiter: Waiter) {
        guard let place = pending[name]?.firstIndex(where: { $0 === waiter }) else { return }
        pending[name]?.remove(at: place)
        guard pending[name]?.isEmpty == true else { return }
        pending[name] = nil
        names.withdraw(name, for: reactor.loop)
    }

    func finish(_ name: String, _ outcome: NameService.Outcome) {
        if case .success(let addresses) = outcome { cache.keep(addresses, of: name, now: reactor.now) }
        for waiter in pending.removeValue(forKey: name) ?? [] { waiter.finish(outcome) }
    }

    /// RFC 6761 §6.3: `localhost` and names under it are this machine, and nobody is asked. IPv4 first, because that
    /// is where most local servers listen.
    private static func loopback(_ name: String) -> [IPAddress]? {
        var name = name.lowercased()
        if name.hasSuffix(".") { name.removeLast() }
        guard name == "localhost" || name.hasSuffix(".localhost") else { return nil }
        return [IPAddress(v4: 0x7F00_0001), IPAddress(v6High: 0, low: 1)]
    }
}

/// Addresses found, with their age. How old they may be is up to whoever asks.
struct NameCache {
    /// Names kept; past it, all are forgotten and asked for again.
    static let maxNames = 4096
    private var found: [String: (addresses: [IPAddress], at: UInt64)] = [:]

    func addresses(of name: String, noOlderThan ttl: UInt64, now: UInt64) -> [IPAddress]? {
        guard let entry = found[name], now &- entry.at < ttl else { return nil }
        return entry.addresses
    }

    mutating func keep(_ addresses: [IPAddress], of name: String, now: UInt64) {
        if found[name] == nil, found.count >= NameCache.maxNames { found.removeAll() }
        found[name] = (addresses, now)
    }
}

/// How many look-ups ended in what way.
package struct LookUpCounts: Sendable {
    private var counts = InlineArray<6, UInt64>(repeating: 0)

    package init() {}

    package subscript(result: LookUpResult) -> UInt64 { counts[result.rawValue] }

    mutating func add(_ result: LookUpResult) { counts[result.rawValue] &+= 1 }

    mutating func add(_ error: IOError) {
        switch error.code {
        case .nameNotFound: add(.notFound)
        case .timedOut: add(.timeout)
        case .closed: add(.cancelled)
        default: add(.failed)
        }
    }
}
