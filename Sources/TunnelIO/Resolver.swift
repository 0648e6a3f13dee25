internal import Glibc
package import TunnelCore

/// Turns names into addresses for one loop: off the loop, in bounded time, and each name only once at a time.
package final class Resolver {
    /// Names kept; past it, all are forgotten and asked for again.
    private static let maxCached = 4096

    private final class Waiter {
        var continuation: UnsafeContinuation<Void, Never>?
        var result: Result<[IPAddress], IOError>?
        lazy var deadline = Deadline { [unowned self] in
            finish(.failure(IOError(.timedOut, "lookup")))
        }
        func finish(_ result: Result<[IPAddress], IOError>) {
            guard self.result == nil else { return }
            self.result = result
            continuation?.resume()
            continuation = nil
        }
    }

    private unowned let reactor: Reactor
    private var cache: [String: (addresses: [IPAddress], until: UInt64)] = [:]
    private var pending: [String: [Waiter]] = [:]

    init(_ reactor: Reactor) { self.reactor = reactor }

    /// The addresses of `name`, which may itself be one.
    ///
    /// - Parameters:
    ///   - timeout: nanoseconds to wait for an answer.
    ///   - ttl: nanoseconds for which a found answer is used again.
    ///   - cancellation: gives up before `timeout`.
    /// - Throws: ``IOError`` `.nameNotFound` or `.timedOut`.
    package func resolve(
        _ name: String, timeout: UInt64, ttl: UInt64, cancellation: Cancellation? = nil
    ) async throws(IOError) -> [IPAddress] {
        if let literal = IPAddress(name) { return [literal] }
        if let known = cache[name], reactor.now < known.until { return known.addresses }
        let waiter = Waiter()
        let isFirst = pending[name] == nil
        pending[name, default: []].append(waiter)
        if isFirst && !start(name, ttl: ttl) { finish(name, .failure(IOError(.system(EAGAIN), "lookup")), ttl: 0) }
        cancellation?.arm { [unowned waiter] in waiter.finish(.failure(IOError(.closed, "lookup"))) }
        if waiter.result == nil {
            reactor.set(waiter.deadline, after: timeout)
            await withUnsafeContinuation { waiter.continuation = $0 }
            reactor.remove(waiter.deadline)
        }
        cancellation?.disarm()
        switch waiter.result {
        case .success(let addresses): return addresses
        case .failure(let error): throw error
        case nil: throw IOError(.closed, "lookup")
        }
    }

    private func start(_ name: String, ttl: UInt64) -> Bool {
        let loop = reactor.loop
        return BlockingPool.shared.submit {
            let result = Resolver.lookUp(name)
            loop.spawn { loop in loop.reactor.resolver.finish(name, result, ttl: ttl) }
        }
    }

    private func finish(_ name: String, _ result: Result<[IPAddress], IOError>, ttl: UInt64) {
        if case .success(let addresses) = result, ttl > 0 {
            if cache.count >= Resolver.maxCached { cache.removeAll() }
            cache[name] = (addresses, reactor.now &+ ttl)
        }
        for waiter in pending.removeValue(forKey: name) ?? [] { waiter.finish(result) }
    }

    /// Asks the system. Blocks.
    package static func lookUp(_ name: String) -> Result<[IPAddress], IOError> {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(name, nil, &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard result == 0 else {
            return .failure(IOError(result == EAI_AGAIN ? .timedOut : .nameNotFound, "lookup"))
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
