internal import Synchronization
public import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// The whole proxy, to be embedded: WebSocket listener, inner TLS, routing, address policy and upstreams.
///
/// It runs on threads of its own. It installs no signal handlers and writes nowhere but to the log that it is given.
///
///     let server = try ProxyServer(configuration: .load(path: "config.yaml"), log: log)
///     try server.start()
///     …
///     let wasClean = await server.stop()
public final class ProxyServer: Sendable {
    public enum State: Sendable, Equatable {
        case idle
        case running
        /// It takes no new connections and waits for requests under way.
        case draining
        case stopped
    }

    private struct Parts: Sendable {
        var state = State.idle
        var group: LoopGroup?
        var address: SocketAddress?
        var watcher: IdentityWatcher?
        /// How the stop went; set with the state `stopped`.
        var wasClean = false
        var waiters: [UnsafeContinuation<Bool, Never>] = []
    }

    private let proxy: ProxyState
    private let parts = Mutex(Parts())
    private let identityAtStart: IdentityFiles.Contents

    /// Reads the certificate, its key and the CA files, and checks that all fit together. Opens nothing yet.
    ///
    /// - Throws: ``ConfigurationError`` that names the file and the remedy.
    public init(configuration: ProxyConfiguration, log: Log) throws {
        let snapshot = try ProxySnapshot(configuration, listeners: [])
        let files = IdentityFiles(configuration.tls)
        identityAtStart = try files.read()
        let identity = try files.identity(of: identityAtStart)
        let options = TLSServerOptions(
            minVersion: configuration.tls.minVersion == .tls13 ? .tls13 : .tls12, alpn: ["http/1.1"],
            sessionTickets: configuration.tls.sessionTickets)
        let credentials = try ServerCredentials(identity: identity, options: options)
        proxy = ProxyState(snapshot, credentials: credentials, log: log)
    }

    /// Binds the listener and starts serving. Returns as soon as connections are accepted.
    ///
    /// - Throws: when the address cannot be bound or a thread cannot be started; the proxy is then as before.
    public func start() throws {
        let isFirst = parts.withLock { parts in
            guard parts.state == .idle else { return false }
            parts.state = .running
            return true
        }
        guard isFirst else { throw ProxyError("the proxy was started before") }
        do { try open() } catch {
            parts.withLock { $0.state = .idle }
            throw error
        }
    }

    /// Starts and serves until ``stop()`` or ``stopAndWait()`` is called from elsewhere.
    ///
    /// - Returns: whether the stop was clean.
    /// - Throws: what ``start()`` throws.
    @discardableResult
    public func run() async throws -> Bool {
        try start()
        return await withUnsafeContinuation { continuation in
            let result: Bool? = parts.withLock { parts in
                if parts.state == .stopped { return parts.wasClean }
                parts.waiters.append(continuation)
                return nil
            }
            if let result { continuation.resume(returning: result) }
        }
    }

    private func open() throws {
        // What a reload has put in force meanwhile counts.
        let configuration = proxy.snapshot.configuration
        let group = try LoopGroup(count: configuration.threads)
        do {
            let listeners = try ListenerSet(configuration.listenAddress, count: group.loops.count)
            proxy.snapshot = try ProxySnapshot(configuration, listeners: listeners.own)
            let watcher = IdentityWatcher(configuration.tls, inForce: identityAtStart, proxy, group.loops[0])
            parts.withLock { parts in
                parts.group = group
                parts.address = listeners.address
                parts.watcher = watcher
            }
            proxy.log(.info, "listening") { line in
                line.field("addr", "\(listeners.address)")
                line.field("loops", group.loops.count)
            }
            logRoutes(proxy.snapshot)
            for (loop, listener) in zip(group.loops, listeners.listeners) {
                let (proxy, isShared) = (proxy, listeners.isShared)
                loop.spawn { loop in
                    let part = ProxyLoop(loop.reactor, proxy)
                    loop.reactor.context = part
                    do throws(IOError) { try part.accept(from: listener, isShared: isShared) } catch {
                        proxy.log(.error, "accept failed") { $0.field("error", error.description) }
                    }
                }
            }
            watcher.start()
        } catch {
            group.stop()
            throw error
        }
    }

    private func logRoutes(_ snapshot: ProxySnapshot) {
        for route in snapshot.routes {
            proxy.log(.info, "route configured") { line in
                line.field("route", route.name)
                line.field("upstream", route.upstream.description)
            }
        }
    }

    /// What the proxy is doing.
    public var state: State { parts.withLock { $0.state } }

    /// Where it listens, for example `127.0.0.1:8080` or `unix:/run/proxy.sock`; `nil` before ``start()``.
    public var address: String? { parts.withLock { $0.address.map { "\($0)" } } }

    /// The TCP port it listens on, also when the configuration asked for any; `nil` before ``start()`` and for a Unix
    /// socket.
    public var port: UInt16? {
        parts.withLock { parts in
            if case .ip(_, let port) = parts.address { port } else { nil }
        }
    }

    /// Requests under way now.
    public var requestsInFlight: Int { proxy.requests.load(ordering: .relaxed) }

    /// WebSockets open now.
    public var connections: Int { proxy.connections.load(ordering: .relaxed) }

    // MARK: Reload

    /// Puts another configuration in force, in one step: routes, upstream policy, limits and log level. Streams that
    /// are open go on under the one that they began with.
    ///
    /// - Returns: the settings that differ and need a restart; the running values stay.
    /// - Throws: ``ConfigurationError``; everything stays as it was.
    @discardableResult
    public func reload(_ configuration: ProxyConfiguration) throws -> [String] {
        let (configuration, kept) = proxy.snapshot.configuration.reloading(configuration)
        let listeners = parts.withLock { $0.address }.map { ListenerSet.own($0) } ?? []
        let snapshot = try ProxySnapshot(configuration, listeners: listeners)
        proxy.snapshot = snapshot
        proxy.log.threshold = configuration.logLevel
        for setting in kept {
            proxy.log(.warn, "setting needs a restart") { $0.field("setting", setting) }
        }
        logRoutes(snapshot)
        parts.withLock { $0.watcher }?.retarget(configuration.tls)
        for loop in loops { loop.spawn { loop in ProxyLoop.current(on: loop)?.adopt(snapshot) } }
        return kept
    }

    private var loops: [Loop] { parts.withLock { $0.group?.loops ?? [] } }

    // MARK: Stop

    /// Drains and stops: no new connections, requests under way may finish within `shutdown_timeout`, then every
    /// WebSocket is closed with 1001.
    ///
    /// - Returns: `false` when requests had to be cut off, and at once when another call is draining already.
    @discardableResult
    public func stop() async -> Bool {
        await withUnsafeContinuation { continuation in
            let isQueued = ProxyServer.stopping.submit { continuation.resume(returning: self.stopAndWait()) }
            // Without a thread to be had, better the caller waits than that nothing stops.
            if !isQueued { continuation.resume(returning: stopAndWait()) }
        }
    }

    /// For draining, which takes long and must not wait behind lookups that take longer.
    private static let stopping = BlockingPool.shutdown

    /// ``stop()`` for callers outside of Swift concurrency: blocks the calling thread.
    @discardableResult
    public func stopAndWait() -> Bool {
        let group: LoopGroup? = parts.withLock { parts in
            guard parts.state == .running else { return nil }
            parts.state = .draining
            return parts.group
        }
        guard let group else { return parts.withLock { $0.wasClean } }
        parts.withLock { $0.watcher }?.stop()
        proxy.isDraining.store(true, ordering: .sequentiallyConsistent)
        proxy.log(.info, "shutting down") { $0.field("requests", requestsInFlight) }
        for loop in group.loops { loop.spawn { loop in ProxyLoop.current(on: loop)?.stopAccepting() } }

        let timeout = proxy.snapshot.configuration.shutdownTimeout.nanoseconds
        let isClean = proxy.idle.wait(until: Reactor.clock() &+ timeout) {
            self.proxy.requests.load(ordering: .sequentiallyConsistent) == 0
        }
        if !isClean { proxy.log(.warn, "shutdown cut short") { $0.field("requests", requestsInFlight) } }
        for loop in group.loops { loop.spawn { loop in ProxyLoop.current(on: loop)?.closeSessions() } }
        // Also who is told to wait no longer says goodbye: the second wait is for the loops to send it.
        if !allClosed(within: ProxyServer.closeTimeout)
            && !allClosed(within: ProxyServer.cutTimeout, ignoringInterrupt: true)
        {
            // Whoever does not answer the close is cut off, so that no task or descriptor outlives the proxy.
            for loop in group.loops { loop.spawn { loop in ProxyLoop.current(on: loop)?.cutSessions() } }
            _ = allClosed(within: ProxyServer.cutTimeout, ignoringInterrupt: true)
        }
        for loop in group.loops { loop.spawn { loop in ProxyLoop.current(on: loop)?.finish() } }
        group.stop()
        proxy.log(.info, "stopped") { $0.field("clean", isClean) }
        let waiters = parts.withLock { parts in
            parts.state = .stopped
            (parts.group, parts.watcher) = (nil, nil)
            parts.wasClean = isClean
            defer { parts.waiters = [] }
            return parts.waiters
        }
        for waiter in waiters { waiter.resume(returning: isClean) }
        return isClean
    }

    private func allClosed(within nanoseconds: UInt64, ignoringInterrupt: Bool = false) -> Bool {
        proxy.idle.wait(until: Reactor.clock() &+ nanoseconds, ignoringInterrupt: ignoringInterrupt) {
            self.proxy.connections.load(ordering: .sequentiallyConsistent) == 0
        }
    }

    /// Makes a ``stop()`` that waits for requests wait no longer.
    public func stopNow() { proxy.idle.interrupt() }

    /// For the closing handshakes of all WebSockets together.
    private static let closeTimeout: UInt64 = 2_000_000_000
    /// For the loops to let go of what was cut off.
    private static let cutTimeout: UInt64 = 200_000_000
}

/// Why the proxy cannot do what was asked.
public struct ProxyError: Error, Sendable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}
