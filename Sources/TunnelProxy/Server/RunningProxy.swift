internal import TunnelCore
internal import TunnelIO

/// What a running proxy has open: its loops, its listeners, and the watch over its certificate.
struct RunningProxy: Sendable {
    private let group: LoopGroup
    let address: SocketAddress
    private let watcher: IdentityWatcher
    private let admin: AdminListener?
    /// Its listeners, for a process that takes its place.
    let listeners: HandedListeners
    private let metricsWaiters = MetricsWaiters()

    /// For the closing handshakes of all WebSockets together.
    private static let closeTimeout: UInt64 = 2_000_000_000
    /// For those who have come to say what for.
    private static let settleTimeout: UInt64 = 2_000_000_000
    /// For the loops to let go of what was cut off.
    private static let cutTimeout: UInt64 = 200_000_000
    /// For the spans that have not been sent, to a collector that may be gone.
    private static let traceTimeout: UInt64 = 2_000_000_000

    /// Binds and starts serving.
    ///
    /// - Parameter files: what the tunnels' credentials were made from, by their numbers.
    static func open(
        _ shared: SharedState, _ files: [Int: FilesAtStart], _ passed: PassedListeners
    ) throws -> RunningProxy {
        // What a reload has put in force meanwhile counts.
        let configuration = shared.snapshot.configuration
        let group = try LoopGroup(count: configuration.threads)
        do {
            let listeners = try ListenerSet(
                configuration.listenAddress, access: ListenerSet.access(configuration), count: group.loops.count,
                passed: passed.proxy)
            let adminListener = try ListenerSet.admin(configuration, passed: passed.admin)
            let own = listeners.own + (adminListener.map { ListenerSet.policyListeners(of: $0.address) } ?? [])
            try shared.replaceSnapshot { current in
                (try ProxySnapshot(current.configuration, listeners: own, after: current), ())
            }
            try shared.tracer?.start(shared.log)
            let watcher = IdentityWatcher(configuration.tls, files, shared, group.loops[0])
            shared.log(.info, "listening") { line in
                line.field("addr", "\(listeners.address)")
                line.field("loops", group.loops.count)
                if !passed.proxy.isEmpty { line.field("from", passed.source.rawValue) }
            }
            logLimit(shared.snapshot.connectionLimit, to: shared.log)
            logRoutes(shared.snapshot, to: shared.log)
            for finding in shared.snapshot.findings { shared.log.report(finding) }
            for (index, loop) in group.loops.enumerated() {
                let (own, isShared, count) = (
                    listeners.listeners(ofLoop: index), listeners.isShared, group.loops.count
                )
                loop.spawn { loop in
                    let worker = ProxyWorker(loop.reactor, shared, loops: count)
                    loop.reactor.context = worker
                    do throws(IOError) {
                        for listener in own { try worker.accept(from: listener, isShared: isShared) }
                    } catch {
                        shared.log(.error, "accept failed") { $0.field("error", error.description) }
                    }
                }
            }
            watcher.start()
            let context = AdminSite.Context(shared: shared, loops: group.loops, address: listeners.address)
            let admin = try adminListener.map { try AdminListener($0, context) }
            return RunningProxy(
                group: group, address: listeners.address, watcher: watcher, admin: admin,
                listeners: HandedListeners(
                    proxy: listeners.listeners, admin: adminListener,
                    from: passed.proxy.isEmpty ? nil : passed.source))
        } catch {
            group.stop()
            endTraces(shared)
            throw error
        }
    }

    private static func logLimit(_ limit: ConnectionLimit, to log: Log) {
        log(.info, "connection limit") { line in
            line.field("max_connections", limit.count)
            line.field("from", limit.source.rawValue)
            if let memory = limit.memory { line.field("memory", memory) }
        }
    }

    static func logRoutes(_ snapshot: ProxySnapshot, to log: Log) {
        for (route, names) in zip(snapshot.routes, snapshot.names) {
            log(.info, "route configured") { line in
                if let tunnel = names.tunnel { line.field("tunnel", tunnel) }
                line.field("route", route.name)
                line.field("upstream", route.upstream.description)
                if let url = names.publicURL { line.field("url", url) }
            }
        }
    }

    /// Takes up what the snapshot in force changes outside of requests.
    ///
    /// - Parameter files: what the credentials of tunnels that are new were made from.
    func adopt(_ files: [Int: FilesAtStart]) {
        watcher.adopt(files)
        onEachWorker { $0.adopt() }
    }

    /// Waits for requests within `shutdown_timeout`, closes every WebSocket and ends the threads. Blocks.
    ///
    /// - Returns: whether every request ended by itself.
    func drain(_ shared: SharedState) -> Bool {
        watcher.stop()
        shared.beginStop()
        // What would be accepted from now on would soon be turned away, and is better left to whoever comes next: of those who
        // are to come, a service manager's is certain.
        if listeners.isKept { onEachWorker(waiting: true) { $0.stopAccepting() } }
        if !listeners.hasSuccessor { waitForOthers(shared) }
        if listeners.isHandedOn { onEachWorker(waiting: true) { $0.stopAccepting() } }
        if listeners.hasSuccessor {
            admin?.stopAccepting()
            // Whoever was accepted before is not turned away.
            let end = Reactor.clock() &+ RunningProxy.settleTimeout
            _ = shared.idle.wait(until: end) { !shared.hasNewcomers }
        }
        shared.drain()
        shared.log(.info, "shutting down") { $0.field("requests", shared.requests) }
        listeners.release()
        onEachWorker {
            $0.stopAccepting()
            $0.drainBegins()
        }

        let deadline = Reactor.clock() &+ shared.snapshot.configuration.shutdownTimeout.nanoseconds
        _ = shared.idle.wait(until: deadline) { shared.requests == 0 }
        // From here on no tunnel takes another request. One may have begun in between, and has the rest of the time.
        onEachWorker(waiting: true) { $0.takeNoMoreRequests() }
        let isIdle = shared.idle.wait(until: deadline) { shared.requests == 0 }
        if !isIdle { shared.log(.warn, "shutdown cut short") { $0.field("requests", shared.requests) } }
        onEachWorker { $0.endConnections() }
        // Also who is asked to wait no longer says goodbye: the second wait is for the loops to send it.
        if !allClosed(shared, within: RunningProxy.closeTimeout)
            && !allClosed(shared, within: RunningProxy.cutTimeout, ignoringInterrupt: true)
        {
            // Whoever does not close in turn is cut off, so that no task or descriptor outlives the proxy.
            onEachWorker { $0.cutConnections() }
            _ = allClosed(shared, within: RunningProxy.cutTimeout, ignoringInterrupt: true)
        }
        onEachWorker { $0.finish() }
        admin?.stop()
        group.stop()
        metricsWaiters.end()
        RunningProxy.endTraces(shared)
        // Also a request that began after the wait, on a tunnel that was open still.
        let isClean = isIdle && shared.requestsCut == 0
        shared.log(.info, "stopped") { $0.field("clean", isClean) }
        return isClean
    }

    /// Serves as before for a while, so that whoever asks whether the proxy is ready can send requests elsewhere. Unless
    /// another process serves in its place.
    private func waitForOthers(_ shared: SharedState) {
        let delay = shared.snapshot.configuration.shutdownDelay.nanoseconds
        guard delay > 0 else { return }
        shared.log(.info, "about to end") {
            $0.field("shutdown_delay", "\(GoDuration(clamping: shared.snapshot.configuration.shutdownDelay))")
        }
        _ = shared.idle.wait(until: Reactor.clock() &+ delay) { listeners.hasSuccessor }
    }

    /// Sends the spans of the last requests.
    private static func endTraces(_ shared: SharedState) {
        shared.tracer?.stop(waking: { shared.idle.wake() }) { isCutOff, condition in
            let time = isCutOff ? RunningProxy.cutTimeout : RunningProxy.traceTimeout
            _ = shared.idle.wait(until: Reactor.clock() &+ time, ignoringInterrupt: isCutOff, isIdle: condition)
        }
    }

    private func allClosed(_ shared: SharedState, within nanoseconds: UInt64, ignoringInterrupt: Bool = false) -> Bool {
        shared.idle.wait(until: Reactor.clock() &+ nanoseconds, ignoringInterrupt: ignoringInterrupt) {
            shared.connections == 0
        }
    }

    /// What each loop has counted. Empty once the loops have ended.
    func loopMetrics() async -> [LoopMetrics?] {
        let loops = group.loops
        return await metricsWaiters.wait { finish in
            loops[0].spawn { loop in finish(await LoopMetrics.gather(loops, on: loop.reactor)) }
        }
    }

    func postFromEachLoop(_ signal: ThreadSignal) -> Int {
        for loop in group.loops { loop.spawn { _ in signal.post() } }
        return group.loops.count
    }

    /// - Parameter waiting: until each has done it, or for a second.
    private func onEachWorker(waiting: Bool = false, _ body: @escaping @Sendable (ProxyWorker) -> Void) {
        let done = ThreadSignal()
        for loop in group.loops {
            loop.spawn { loop in
                if let worker = ProxyWorker.current(on: loop) { body(worker) }
                done.post()
            }
        }
        guard waiting else { return }
        for _ in group.loops { _ = done.wait(seconds: 1) }
    }
}
