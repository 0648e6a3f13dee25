internal import Synchronization
internal import TunnelCore
internal import TunnelIO
internal import TunnelPKI
internal import TunnelTLS

/// Looks at the certificate files every `tls.reload_interval`, by content, and swaps the pair in one step. Tells what is
/// wrong with the certificate in force, and when its end comes near.
///
/// Content, not inode or time: Kubernetes changes a mounted Secret by moving a symlink above the file. A pair that is
/// broken, does not match or is half written changes nothing and is logged once; the next look finds it whole.
final class IdentityWatcher: Sendable {
    private struct Seen {
        var inForce: IdentityFiles.Digest
        /// What was refused last, by its digest or the error of reading it.
        var refused: IdentityFiles.Digest?
        var readFailure: String?
        var expiry: ExpiryWatch
        /// What was told of the certificate in force.
        var told: Set<StartupFinding> = []
        /// Until the next look at the files, in nanoseconds.
        var untilLook: UInt64
    }

    private let interval: UInt64
    private let shared: SharedState
    private let loop: Loop
    private let seen: Mutex<Seen>
    private let looking = Mutex<Void>(())
    private let ticketKeys: TicketKeyWatch
    private let isStopped = Flag()
    private let routeFiles = RouteFilesWatch()
    /// Seconds since 1970.
    private let now: @Sendable () -> Int64

    /// The wall clock is looked at this often, however rarely the files are.
    private let clockInterval: UInt64

    /// - Parameters:
    ///   - tls: for the interval, which no reload changes.
    ///   - inForce: what the identity in use was made from. Not read again: the files may have changed since.
    ///   - ticketKeys: the same of the keys of session tickets; `nil` for the proxy's own.
    ///   - clockInterval: how often the wall clock is looked at, which can be stepped.
    init(
        _ tls: ProxyConfiguration.TLS, inForce: IdentityFiles.Digest, ticketKeys: [UInt8]? = nil, _ shared: SharedState,
        _ loop: Loop,
        clockInterval: Duration = .seconds(60), now: @escaping @Sendable () -> Int64 = { SystemClock.now().seconds }
    ) {
        self.clockInterval = clockInterval.nanoseconds
        interval = tls.reloadInterval.nanoseconds
        let expiry = ExpiryWatch(notAfter: shared.credentials.current.identity.notAfter, now: now())
        seen = Mutex(Seen(inForce: inForce, expiry: expiry, untilLook: tls.reloadInterval.nanoseconds))
        (self.shared, self.loop, self.now) = (shared, loop, now)
        self.ticketKeys = TicketKeyWatch(inForce: ticketKeys, shared)
    }

    func start() {
        logIdentity(shared.credentials.current.identity, "certificate loaded")
        tellFindings()
        scheduleNext()
    }

    func stop() { isStopped.set() }

    /// Those of the configuration in force: of two reloads at once, the later one decides.
    private var files: IdentityFiles { IdentityFiles(shared.snapshot.configuration.tls) }

    // MARK: Time

    private func scheduleNext() {
        guard interval > 0 else { return }
        let wait = seen.withLock { min($0.untilLook, clockInterval) }
        loop.spawn { loop in
            // Weakly: we hold the loop, which holds this.
            loop.reactor.runLater(after: wait) { [weak self] in self?.tick(after: wait) }
        }
    }

    private func tick(after wait: UInt64) {
        guard !isStopped.isSet else { return }
        watchClock()
        let isDue = seen.withLock { seen in
            seen.untilLook -= min(wait, seen.untilLook)
            if seen.untilLook > 0 { return false }
            seen.untilLook = interval
            return true
        }
        // A full queue means that the machine has worse problems; the next interval tries again.
        if !isDue || !BlockingPool.files.submit({ self.look() }) { scheduleNext() }
    }

    /// Tells when the end of the certificate has come nearer.
    func watchClock() {
        let now = now()
        guard seen.withLock({ $0.expiry.isNews(at: now) }) else { return }
        let snapshot = shared.snapshot
        let leaf = shared.credentials.current.identity.leaf
        let findings = CertificateCheck(snapshot.configuration).findings(leaf, now: now)
        for finding in findings where finding.isOfTime { shared.log.report(finding) }
    }

    // MARK: Files

    private func look() {
        check()
        routeFiles.look(shared)
        ticketKeys.rotate(now: Int64(Reactor.clock() / 1_000_000_000))
        if !isStopped.isSet { scheduleNext() }
    }

    /// Takes the files' contents into use if they are new and a pair. One look at a time: of two, the one that read the
    /// older contents could be the last to put them in force.
    func check() {
        looking.withLock { _ in
            look(at: files)
            ticketKeys.look()
        }
    }

    /// Takes up another configuration, with other files or routes.
    func adopt() {
        check()
        watchClock()
        tellFindings(ofTime: false)
    }

    private func look(at files: IdentityFiles) {
        var contents: IdentityFiles.Contents
        let digest: IdentityFiles.Digest
        do {
            contents = try files.read()
            digest = try IdentityFiles.Digest(of: contents)
        } catch {
            let reason = "\(error)"
            let isNews = seen.withLock { seen in
                defer { seen.readFailure = reason }
                return seen.readFailure != reason
            }
            if isNews { refuse(reason) }
            return
        }
        defer { contents.wipe() }
        let (isNew, isMended) = seen.withLock { seen in
            let isInForce = digest == seen.inForce
            let wasTold = seen.refused != nil || seen.readFailure != nil
            seen.readFailure = nil
            if isInForce { seen.refused = nil }
            return (!isInForce && digest != seen.refused, isInForce && wasTold)
        }
        // Of a new pair that is good, "certificate reloaded" says it.
        if isMended {
            logIdentity(shared.credentials.current.identity, "certificate files are those in force again")
        }
        guard isNew else { return }
        do {
            let identity = try files.identity(of: contents)
            try shared.credentials.replace(with: identity)
            seen.withLock { seen in
                seen.inForce = digest
                seen.refused = nil
                seen.expiry = ExpiryWatch(notAfter: identity.notAfter, now: now())
                seen.told = []
            }
            logIdentity(identity, "certificate reloaded")
            let detail = "\(identity.subject), until \(UnixTime(seconds: identity.notAfter).toTheSecond)"
            shared.reloads.note(.certificate, by: "watch", succeeded: true, detail, at: SystemClock.now())
            tellFindings()
        } catch {
            seen.withLock { $0.refused = digest }
            refuse("\(error)")
        }
    }

    private func refuse(_ reason: String) {
        shared.log(.warn, "certificate not reloaded, the old one stays") { $0.field("reason", reason) }
        shared.reloads.note(.certificate, by: "watch", succeeded: false, reason, at: SystemClock.now())
    }

    // MARK: Log

    private func logIdentity(_ identity: TLSIdentity, _ message: String) {
        shared.log(.info, message) { line in
            line.field("subject", identity.subject)
            line.field("fingerprint", identity.fingerprint)
            line.field("not_after", UnixTime(seconds: identity.notAfter).description)
        }
    }

    /// Tells what is wrong with the certificate in force, for the routes in force, unless that was told before.
    ///
    /// - Parameter ofTime: also what comes with time alone, which ``watchClock()`` tells from then on.
    private func tellFindings(ofTime: Bool = true) {
        let leaf = shared.credentials.current.identity.leaf
        let findings = CertificateCheck(shared.snapshot.configuration).findings(leaf, now: now())
            .filter { ofTime || !$0.isOfTime }
        let news = seen.withLock { seen in
            defer { seen.told.formUnion(findings) }
            return findings.filter { !seen.told.contains($0) }
        }
        for finding in news { shared.log.report(finding) }
    }
}
