internal import Glibc
internal import TunnelCore
internal import TunnelIO

/// What the admin listener has: its endpoints and its connections, on a loop of its own, so that nothing that is asked here
/// delays a request in the tunnel.
final class AdminSite {
    /// What endpoints know of the proxy.
    struct Context {
        let shared: SharedState
        /// The proxy's loops, whose workers are asked by a ``LoopSurvey``.
        let loops: [Loop]
        /// Where the proxy listens.
        let address: SocketAddress
    }

    let worker: Worker
    let rules: AdminGuard
    let readiness: ProxyReadiness
    private let collector: StatusCollector
    private let cloudflared: CloudflaredWatch
    private(set) var endpoints: [String: any AdminEndpoint] = [:]
    private var connections: [ObjectIdentifier: AdminConnection] = [:]
    private var acceptor: Acceptor?
    private var lastNumber: UInt64 = 0

    /// Connections at one time. Prometheus, a probe and some people with the page need less.
    static let maxConnections = 64

    init(_ context: Context, on reactor: Reactor) {
        worker = Worker(reactor, context.shared)
        rules = AdminGuard(context.shared.snapshot.configuration)
        readiness = ProxyReadiness(context, on: worker)
        collector = StatusCollector(context, readiness, on: reactor)
        cloudflared = CloudflaredWatch(on: reactor) { context.shared.snapshot.configuration.cloudflaredMetrics }
        let maker = StatusMaker(
            context: context, readiness: readiness, collector: collector, cloudflared: cloudflared)
        let (feed, ring) = (PageFeed(maker), (context.shared.log.sink as? LogWriter)?.ring)
        endpoints = [
            "/": PageEndpoint(feed, ring),
            "/status": StatusEndpoint(maker),
            "/events": EventsEndpoint(feed, ring, instance: maker.instance),
            "/logs": LogsEndpoint(ring),
            "/healthz": HealthEndpoint(context, on: reactor),
            "/readyz": ReadinessEndpoint(readiness),
            "/metrics": MetricsEndpoint(context, readiness, on: reactor),
            "/log-level": LogLevelEndpoint(context.shared.log),
        ]
    }

    /// The one on the current loop, for a task that has just started there.
    static func current(on loop: isolated Loop) -> AdminSite? { loop.reactor.context as? AdminSite }

    func open(_ listener: Listener) throws(IOError) {
        let (loop, log) = (worker.reactor.loop, worker.log)
        acceptor = try Acceptor(
            listener, on: worker.reactor, isShared: false,
            accepted: { descriptor, _ in
                loop.spawn { loop in await AdminSite.current(on: loop)?.serve(descriptor) }
            },
            failed: { error in log(.error, "accept failed") { $0.field("error", error.description) } })
        readiness.start()
        collector.start()
        cloudflared.start()
    }

    private func serve(_ descriptor: CInt) async {
        Self.bound(descriptor)
        // Closes the descriptor with it.
        guard let socket = try? Socket(adopting: descriptor, on: worker.reactor) else { return }
        if connections.count >= Self.maxConnections {
            // Who is silent for the longest time goes, so that nobody can keep a probe out by doing nothing.
            guard let silent = connections.values.filter(\.isSilent).min(by: { $0.lastHeard < $1.lastHeard }) else {
                worker.log(.warn, "too many admin connections") { $0.field("limit", Self.maxConnections) }
                return socket.close()
            }
            forget(silent)
            silent.close()
        }
        let connection = AdminConnection(socket, self)
        connections[ObjectIdentifier(connection)] = connection
        await connection.serve()
        forget(connection)
    }

    /// Who reads slowly, or not at all, holds no more of the kernel's memory than this, and is given up in time: what would
    /// fit into buffers that the kernel lets grow would look as if it were taken.
    private static func bound(_ descriptor: CInt) {
        var (size, time) = (sendBuffer, unacknowledged)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<CInt>.size))
        // It has no meaning for a Unix socket, which refuses it.
        setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_USER_TIMEOUT, &time, socklen_t(MemoryLayout<CInt>.size))
    }
    private static let sendBuffer: CInt = 128 * 1024
    private static let unacknowledged: CInt = 10_000

    private func forget(_ connection: AdminConnection) { connections[ObjectIdentifier(connection)] = nil }

    /// Closes everything.
    func stopAccepting() {
        acceptor?.stop()
        acceptor = nil
    }

    func close() {
        stopAccepting()
        readiness.stop()
        collector.stop()
        cloudflared.stop()
        for connection in connections.values { connection.close() }
    }

    /// A larger number than before: which of two things was later.
    func nextNumber() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    /// Lets go of everything, when the connections have ended.
    func finish() { worker.reactor.context = nil }
    var isIdle: Bool { connections.isEmpty }
}

/// One connection to the admin listener.
final class AdminConnection {
    private let socket: Socket
    private let handler: AdminHandler
    private let server: HTTP1Server

    /// Its own, whatever the tunnel's are: nobody sends much to it, and who is silent goes.
    private static let limits = HTTP1Server.Limits(
        head: HeadLimits(maxBytes: 16_384, maxFields: 100), headerTimeout: 10_000_000_000,
        idleTimeout: 120_000_000_000, bodyTimeout: 10_000_000_000, sendTimeout: 10_000_000_000)

    init(_ socket: Socket, _ site: AdminSite) {
        self.socket = socket
        handler = AdminHandler(site)
        server = HTTP1Server(
            RequestReader(socket, on: site.worker), handler, number: site.worker.shared.nextConnectionNumber(),
            clientAddress: [], on: site.worker, limits: Self.limits)
    }

    /// No request is under way: none was sent, or not all of its head.
    var isSilent: Bool { !handler.isServing }
    var lastHeard: UInt64 { handler.lastHeard }

    func serve() async {
        let isInOrder = await server.serve() == .close
        server.reader.close()
        if isInOrder { await socket.closeInOrder(within: 1_000_000_000) } else { socket.close() }
    }

    func close() {
        handler.cancel()
        server.reader.stop()
        socket.close()
    }
}
