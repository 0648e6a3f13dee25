internal import Synchronization
public import TunnelCore
package import TunnelIO
internal import TunnelTLS

/// The whole proxy, to be embedded: WebSocket listener, inner TLS, routing, address policy and upstreams.
///
/// It runs on threads of its own. It installs no signal handlers and writes nowhere but to the log that it is given.
///
///     let server = try ProxyServer(configuration: .load(path: "config.yaml"), log: log)
///     try await server.run()  // until the task is cancelled, or stop() is called elsewhere
///
/// Its life goes one way: idle, running, draining, stopped. A stop that comes before the start, or in the midst of it, counts.
/// A server that is dropped while it runs cuts its connections and ends.
public final class ProxyServer: Sendable {
    public enum State: Sendable, Equatable {
        case idle
        case running
        /// It takes no new connections and waits for requests under way.
        case draining
        case stopped
    }

    private enum Life: Sendable {
        case idle
        case starting(mustStop: Bool)
        case running(RunningProxy)
        case stopping(RunningProxy?)
        case stopped(wasClean: Bool)
    }

    private struct Parts: Sendable {
        var life = Life.idle
        var waiters: [@Sendable (Bool) -> Void] = []
        /// Until the start, which hands them on: nobody else is to keep them open.
        var passed: PassedListeners
    }

    let shared: SharedState
    private let parts: Mutex<Parts>
    /// By the tunnels' numbers.
    private let filesAtStart: [Int: FilesAtStart]

    /// Reads the certificate, its key and the CA files, and checks that all fit together. Opens nothing yet.
    ///
    /// - Throws: ``ConfigurationError`` or ``ProxyError``, which name the file.
    public convenience init(configuration: ProxyConfiguration, log: Log) throws {
        try self.init(configuration: configuration, log: log, passed: PassedListeners())
    }

    /// The same, to listen with sockets that are there already.
    ///
    /// - Parameter sandbox: what confines the process: a reload that it leaves no room for is refused.
    package init(
        configuration: ProxyConfiguration, log: Log, passed: PassedListeners, sandbox: SandboxState? = nil
    ) throws {
        parts = Mutex(Parts(passed: passed))
        let (snapshot, read) = try configuration.tellingAllUnreadable {
            let snapshot = try ProxySnapshot(configuration, listeners: configuration.policyListeners)
            return (snapshot, try Self.readCredentials(of: snapshot.tunnels))
        }
        filesAtStart = read.mapValues(\.files)
        shared = SharedState(
            snapshot, identities: try TunnelCredentials(snapshot.tunnels, read.mapValues(\.credentials)), log: log,
            tracer: try Tracer.make(configuration), sandbox: sandbox)
    }

    /// By the tunnels' numbers.
    private static func readCredentials(
        of tunnels: [ProxySnapshot.Tunnel]
    ) throws -> [Int: (credentials: ServerCredentials, files: FilesAtStart)] {
        Dictionary(uniqueKeysWithValues: try tunnels.map { ($0.number, try $0.readCredentials()) })
    }

    deinit {
        guard case .running(let running) = parts.withLock({ $0.life }) else { return }
        let shared = shared
        shared.idle.interrupt()
        _ = BlockingPool.shutdown.submit { _ = running.drain(shared) }
    }

    // MARK: Start

    /// Binds the listener and starts serving. Returns as soon as connections are accepted.
    ///
    /// - Throws: ``ProxyError`` when the address cannot be bound or a thread cannot be started; the proxy is then as before.
    ///   Also when it was started or stopped before.
    public func start() throws {
        let refusal: ProxyError? = parts.withLock { parts in
            switch parts.life {
            case .idle:
                parts.life = .starting(mustStop: false)
                return nil
            case .starting, .running: return ProxyError("the proxy was started before")
            case .stopping, .stopped: return ProxyError("the proxy was stopped before")
            }
        }
        if let refusal { throw refusal }
        let running: RunningProxy
        do {
            let passed = parts.withLock { parts in
                defer { parts.passed = PassedListeners() }
                return parts.passed
            }
            running = try RunningProxy.open(shared, filesAtStart, passed)
        } catch {
            let mustStop = parts.withLock { parts in
                let mustStop = if case .starting(mustStop: true) = parts.life { true } else { false }
                if !mustStop { parts.life = .idle }
                return mustStop
            }
            if mustStop { finishStop(wasClean: true) }
            throw error
        }
        let mustStop = parts.withLock { parts in
            if case .starting(mustStop: true) = parts.life {
                parts.life = .stopping(running)
                return true
            }
            parts.life = .running(running)
            return false
        }
        if mustStop { drain(running) }
    }

    /// Serves until the task is cancelled, or until ``stop()`` or ``beginGracefulShutdown()`` is called from elsewhere, and
    /// returns when the proxy has stopped. Starts it, unless that is done already; after a stop it returns at once.
    ///
    /// - Throws: what ``start()`` throws.
    public func run() async throws {
        if case .idle = parts.withLock({ $0.life }) {
            do { try start() } catch {
                // A stop may come in between, and then there is nothing to serve.
                guard state == .draining || state == .stopped else { throw error }
            }
        }
        await withTaskCancellationHandler {
            _ = await stopped()
        } onCancel: {
            beginGracefulShutdown()
        }
    }

    // MARK: Facts

    /// What the proxy is doing.
    public var state: State {
        switch parts.withLock({ $0.life }) {
        case .idle: .idle
        case .starting, .running: .running
        case .stopping: .draining
        case .stopped: .stopped
        }
    }

    /// Where it listens, for example `127.0.0.1:8080` or `unix:/run/proxy.sock`; `nil` before ``start()`` and after the stop.
    public var address: String? { running.map { "\($0.address)" } }

    /// The TCP port it listens on, also when the configuration asked for any; `nil` before ``start()``, after the stop, and
    /// for a Unix socket.
    public var port: UInt16? {
        if case .ip(_, let port) = running?.address { port } else { nil }
    }

    /// Requests under way now.
    public var requestsInFlight: Int { shared.requests }

    /// WebSockets open now.
    public var connections: Int { shared.tunnels }

    /// What an operator should know of the configuration and the certificate in force; empty where nothing is wrong.
    public var findings: [StartupFinding] {
        let snapshot = shared.snapshot
        return snapshot.findings
            + snapshot.tunnels.flatMap { tunnel -> [StartupFinding] in
                guard let leaf = shared.identities[tunnel.number]?.current.identity.leaf else { return [] }
                return CertificateCheck(tunnel.configuration).findings(leaf, now: SystemClock.now().seconds)
            }
    }

    /// When the certificate in force ends, in seconds since 1970; of several tunnels the first one's to end.
    package var certificateEnd: Int64 {
        shared.snapshot.tunnels.compactMap { shared.identities[$0.number]?.current.identity.notAfter }.min() ?? 0
    }

    /// Has each loop post `signal` as soon as it gets to it. A loop that is hung does not.
    ///
    /// - Returns: how many loops there are; 0 where the proxy does not run.
    package func postFromEachLoop(_ signal: ThreadSignal) -> Int { running?.postFromEachLoop(signal) ?? 0 }

    /// The configuration in force.
    package var configuration: ProxyConfiguration { shared.snapshot.configuration }

    var running: RunningProxy? {
        switch parts.withLock({ $0.life }) {
        case .running(let running): running
        case .stopping(let running): running
        case .idle, .starting, .stopped: nil
        }
    }

    // MARK: Reload

    /// Puts another configuration in force, in one step: routes, upstream policy, limits and log level. Streams that
    /// are open go on under the one that they began with. Reloads from several threads take effect one after another.
    ///
    /// - Returns: the settings that differ and need a restart; the running values stay.
    /// - Throws: ``ConfigurationError``; everything stays as it was.
    @discardableResult
    public func reload(_ configuration: ProxyConfiguration) throws -> [String] {
        do { return try reload(configuration, by: "api") } catch {
            noteFailedReload("\(error)", by: "api")
            throw error
        }
    }

    /// For the page: a configuration was asked for and is not in force.
    func noteFailedReload(_ reason: String, by cause: String) {
        shared.reloads.note(.configuration, by: cause, succeeded: false, reason, at: SystemClock.now())
    }

    /// - Parameter cause: who asked.
    func reload(_ configuration: ProxyConfiguration, by cause: String) throws -> [String] {
        if let sandbox = shared.sandbox { try configuration.checkRoom(in: sandbox) }
        let (kept, before, files, _) = try shared.replaceSnapshot { current in
            let (configuration, kept) = current.configuration.reloading(configuration)
            let (next, fresh) = try configuration.tellingAllUnreadable {
                let next = try ProxySnapshot(configuration, after: current)
                // A tunnel that is new has to have a certificate; of the others the watch reads them.
                let new = next.tunnels.filter { shared.identities[$0.number] == nil }
                return (next, try Self.readCredentials(of: new))
            }
            let adoption = try shared.identities.prepare(next.tunnels, fresh.mapValues(\.credentials))
            return (next, (kept, current.findings, fresh.mapValues(\.files), adoption))
        } then: { _, _, _, adoption in
            // Behind the snapshot: nobody is to shake hands with a tunnel that has no routes yet.
            shared.identities.adopt(adoption)
            shared.log.threshold = configuration.logLevel
        }
        let snapshot = shared.snapshot
        for setting in kept { shared.log(.warn, "setting needs a restart") { $0.field("setting", setting) } }
        RunningProxy.logRoutes(snapshot, to: shared.log)
        for finding in snapshot.findings where !before.contains(finding) { shared.log.report(finding) }
        // Also one that began to run meanwhile.
        running?.adopt(files)
        let detail = kept.isEmpty ? "in force" : "in force, but for \(kept.joined(separator: ", ")): needs a restart"
        shared.reloads.note(.configuration, by: cause, succeeded: true, detail, at: SystemClock.now())
        return kept
    }

    // MARK: Stop

    /// Begins to drain and returns at once: no new connections, requests under way may finish within `shutdown_timeout`,
    /// then every WebSocket is closed with 1001. A proxy that has not started will not.
    public func beginGracefulShutdown() {
        enum Next { case nothing, finish, drain(RunningProxy) }
        let next: Next = parts.withLock { parts in
            switch parts.life {
            case .idle:
                parts.life = .stopping(nil)
                return .finish
            case .starting:
                parts.life = .starting(mustStop: true)
                return .nothing
            case .running(let running):
                parts.life = .stopping(running)
                return .drain(running)
            case .stopping, .stopped: return .nothing
            }
        }
        switch next {
        case .nothing: break
        case .finish: finishStop(wasClean: true)
        case .drain(let running): drain(running)
        }
    }

    /// Drains as ``beginGracefulShutdown()`` does and waits for the end. Any number of callers get the same result.
    ///
    /// - Returns: `false` when requests had to be cut off.
    @discardableResult
    public func stop() async -> Bool {
        beginGracefulShutdown()
        return await stopped()
    }

    /// ``stop()`` for callers outside of Swift concurrency: blocks the calling thread.
    @discardableResult
    public func stopAndWait() -> Bool {
        beginGracefulShutdown()
        let signal = ThreadSignal()
        let result = Mutex(true)
        whenStopped { wasClean in
            result.withLock { $0 = wasClean }
            signal.post()
        }
        while !signal.wait(seconds: 3600) {}
        return result.withLock { $0 }
    }

    /// Makes a stop that waits for requests wait no longer.
    public func stopNow() { shared.idle.interrupt() }

    private func stopped() async -> Bool {
        await withUnsafeContinuation { continuation in whenStopped { continuation.resume(returning: $0) } }
    }

    private func whenStopped(_ body: @escaping @Sendable (Bool) -> Void) {
        let wasClean: Bool? = parts.withLock { parts in
            if case .stopped(let wasClean) = parts.life { return wasClean }
            parts.waiters.append(body)
            return nil
        }
        if let wasClean { body(wasClean) }
    }

    private func drain(_ running: RunningProxy) {
        let isQueued = BlockingPool.shutdown.submit { [self] in finishStop(wasClean: running.drain(shared)) }
        // Without a thread to be had, better the caller waits than that nothing stops.
        if !isQueued { finishStop(wasClean: running.drain(shared)) }
    }

    private func finishStop(wasClean: Bool) {
        let waiters = parts.withLock { parts in
            parts.life = .stopped(wasClean: wasClean)
            defer { parts.waiters = [] }
            return parts.waiters
        }
        for waiter in waiters { waiter(wasClean) }
    }
}
