internal import TunnelCore
internal import TunnelIO

/// The HTTP/2 connections of a loop to one upstream, and the requests that wait for a place on them.
///
/// The first that has a place is taken, so that under little load the others are idle and go. One is opened for as many waiting
/// requests as the last one took: a burst of requests to an upstream that nobody knows yet makes one connection.
final class HTTP2Group {
    /// A request that waits.
    private final class Waiter {
        private var continuation: UnsafeContinuation<Void, Never>?
        private var isEnded = false
        private(set) var error: LeaseError?

        func wait() async { if !isEnded { await withUnsafeContinuation { continuation = $0 } } }

        /// - Returns: `false` where the wait has ended already, and its task is about to find out why.
        @discardableResult
        func end(_ error: LeaseError? = nil) -> Bool {
            guard !isEnded else { return false }
            (isEnded, self.error) = (true, error)
            continuation?.resume()
            continuation = nil
            return true
        }
    }

    private(set) var connections: [HTTP2Upstream] = []
    /// What the upstream chose by ALPN last was HTTP/1.1.
    var speaksHTTP1 = false
    /// Connections that are being opened.
    private var dialing = 0
    private var waiters: [Waiter] = []
    /// How many requests a connection takes at once, as far as it is known.
    private var usualCapacity = 100
    /// A reload has left the upstream out: its connections go with the requests that came before.
    var isLeftOut = false
    /// The generation in which the upstream said that a request wants HTTP/1.1.
    private var http1Generation: UInt64?

    /// Connections to one upstream that take requests.
    static let maxConnections = 64
    /// One that refused a request is not asked again for the same for so long, if there is another.
    private static let refusalTime: UInt64 = 1_000_000_000

    // MARK: Connections

    /// One with a place for a request.
    ///
    /// - Parameter fresh: the request was refused before.
    func take(generation: UInt64, fresh: Bool, now: UInt64) -> HTTP2Upstream? {
        if connections.contains(where: { $0.generation < generation }) {
            for connection in connections where connection.generation < generation { connection.retire() }
        }
        for connection in connections where connection.generation == generation {
            if fresh, connection.refused > 0, now &- connection.refused < HTTP2Group.refusalTime { continue }
            if connection.hasPlace() { return connection }
        }
        return nil
    }

    func add(_ connection: HTTP2Upstream) {
        connections.append(connection)
        (speaksHTTP1, usualCapacity) = (false, max(1, connection.capacity))
    }

    func remove(_ connection: HTTP2Upstream) {
        connections.removeAll { $0 === connection }
        wakeAll()
    }

    /// None of them takes another request.
    func retireAll() { for connection in connections { connection.retire() } }

    func endAll() { for connection in connections { connection.end(IOError(.closed, "http2 connection")) } }

    var idleCount: Int { connections.count { $0.attached == 0 } }

    func requireHTTP1(_ generation: UInt64) {
        http1Generation = generation
        wakeAll()
    }

    func requiresHTTP1(in generation: UInt64) -> Bool { http1Generation == generation }

    // MARK: Opening and waiting

    /// Whether a request that finds no place is to open a connection, and not to wait for those that are being opened.
    var wantsAnother: Bool {
        guard connections.count + dialing < HTTP2Group.maxConnections else { return false }
        // One that takes no requests at all would not take more on another connection.
        if connections.contains(where: { $0.capacity == 0 }) { return false }
        // Who opens one takes a place on it.
        return waiters.count + 1 > dialing * (usualCapacity - 1)
    }

    func dialBegins() { dialing += 1 }

    /// - Parameter error: what those hear who waited for it; `nil` if it does not concern them.
    func dialEnded(_ error: LeaseError?) {
        dialing -= 1
        let all = waiters
        waiters = []
        for waiter in all { waiter.end(connections.isEmpty ? error : nil) }
    }

    /// Waits for a place or a connection.
    ///
    /// - Parameter timeout: nanoseconds, where no connection is being opened whose end would end the wait.
    /// - Returns: why there will be none.
    func wait(on reactor: Reactor, within timeout: UInt64, _ cancellation: Cancellation) async -> LeaseError? {
        let waiter = Waiter()
        waiters.append(waiter)
        let deadline = Deadline(on: reactor) { waiter.end(.crowded) }
        if dialing == 0 { deadline.set(after: timeout) }
        cancellation.arm { waiter.end() }
        await waiter.wait()
        deadline.cancel()
        cancellation.disarm()
        if let index = waiters.firstIndex(where: { $0 === waiter }) { waiters.remove(at: index) }
        return waiter.error
    }

    /// A place came free.
    func wakeOne() { while !waiters.isEmpty, !waiters.removeFirst().end() {} }

    func wakeAll() {
        let all = waiters
        waiters = []
        for waiter in all { waiter.end() }
    }
}
