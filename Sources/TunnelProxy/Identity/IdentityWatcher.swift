internal import Synchronization
internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// Looks at the certificate files of all tunnels every `tls.reload_interval`, by content, and swaps each pair in one step.
/// Tells what is wrong with the certificates in force, and when their end comes near.
final class IdentityWatcher: Sendable {
    private let interval: UInt64
    private let shared: SharedState
    private let loop: Loop
    /// By the tunnels' numbers.
    private let watches: Mutex<[Int: TunnelWatch]>
    /// Until the next look at the files, in nanoseconds.
    private let untilLook: Mutex<UInt64>
    private let looking = Mutex<Void>(())
    private let isStopped = Flag()
    private let routeFiles = RouteFilesWatch()
    /// Seconds since 1970.
    private let now: @Sendable () -> Int64

    /// The wall clock is looked at this often, however rarely the files are.
    private let clockInterval: UInt64

    /// - Parameters:
    ///   - tls: for the interval, which no reload changes.
    ///   - files: what the tunnels' credentials were made from, by their numbers.
    ///   - clockInterval: how often the wall clock is looked at, which can be stepped.
    init(
        _ tls: ProxyConfiguration.TLS, _ files: [Int: FilesAtStart], _ shared: SharedState, _ loop: Loop,
        clockInterval: Duration = .seconds(60), now: @escaping @Sendable () -> Int64 = { SystemClock.now().seconds }
    ) {
        self.clockInterval = clockInterval.nanoseconds
        interval = tls.reloadInterval.nanoseconds
        untilLook = Mutex(tls.reloadInterval.nanoseconds)
        (self.shared, self.loop, self.now) = (shared, loop, now)
        watches = Mutex([:])
        take(files)
    }

    func start() {
        for watch in inOrder { watch.start() }
        scheduleNext()
    }

    func stop() { isStopped.set() }

    /// In the order of the file.
    private var inOrder: [TunnelWatch] {
        let watches = watches.withLock { $0 }
        return shared.snapshot.tunnels.compactMap { watches[$0.number] }
    }

    /// Takes the tunnels of the configuration in force for those to be watched.
    ///
    /// - Returns: those that are new.
    @discardableResult
    private func take(_ files: [Int: FilesAtStart]) -> [TunnelWatch] {
        watches.withLock { watches in
            var (next, fresh): ([Int: TunnelWatch], [TunnelWatch]) = ([:], [])
            for tunnel in shared.snapshot.tunnels {
                // A tunnel that comes back has other credentials than it had.
                guard let credentials = shared.identities[tunnel.number] else { continue }
                if let watch = watches[tunnel.number], watch.isOf(credentials) {
                    next[tunnel.number] = watch
                } else {
                    let watch = TunnelWatch(tunnel.number, credentials, files[tunnel.number], shared, now: now)
                    next[tunnel.number] = watch
                    fresh.append(watch)
                }
            }
            watches = next
            return fresh
        }
    }

    // MARK: Time

    private func scheduleNext() {
        guard interval > 0 else { return }
        let wait = untilLook.withLock { min($0, clockInterval) }
        loop.spawn { loop in
            // Weakly: we hold the loop, which holds this.
            loop.reactor.runLater(after: wait) { [weak self] in self?.tick(after: wait) }
        }
    }

    private func tick(after wait: UInt64) {
        guard !isStopped.isSet else { return }
        watchClock()
        let isDue = untilLook.withLock { left in
            left -= min(wait, left)
            if left > 0 { return false }
            left = interval
            return true
        }
        // A full queue means that the machine has worse problems; the next interval tries again.
        if !isDue || !BlockingPool.files.submit({ self.look() }) { scheduleNext() }
    }

    /// Tells when the end of a certificate has come nearer.
    func watchClock() { for watch in inOrder { watch.watchClock() } }

    // MARK: Files

    private func look() {
        check()
        routeFiles.look(shared)
        let now = Int64(Reactor.clock() / 1_000_000_000)
        for watch in inOrder { watch.rotateTicketKeys(now: now) }
        if !isStopped.isSet { scheduleNext() }
    }

    /// Takes the files' contents into use if they are new and a pair. One look at a time: of two, the one that read the
    /// older contents could be the last to put them in force.
    func check() {
        looking.withLock { _ in for watch in inOrder { watch.look() } }
    }

    /// Takes up another configuration, with other tunnels, files or routes.
    ///
    /// - Parameter files: what the credentials of tunnels that are new were made from.
    func adopt(_ files: [Int: FilesAtStart] = [:]) {
        for watch in take(files) { watch.start() }
        check()
        watchClock()
        for watch in inOrder { watch.tellFindings(ofTime: false) }
    }
}
