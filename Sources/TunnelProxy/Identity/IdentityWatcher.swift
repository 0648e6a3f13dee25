internal import Synchronization
internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// Looks at the certificate files every `tls.reload_interval`, by content, and swaps the pair in one step.
///
/// Content, not inode or time: Kubernetes changes a mounted Secret by moving a symlink above the file. A pair that is
/// broken, does not match or is half written changes nothing and is logged once; the next look finds it whole.
final class IdentityWatcher: Sendable {
    private struct Seen {
        var inForce: IdentityFiles.Contents
        /// What was refused last, by its contents or the error of reading them.
        var refused: IdentityFiles.Contents?
        var readFailure: String?
    }

    private let interval: UInt64
    private let shared: SharedState
    private let loop: Loop
    private let seen: Mutex<Seen>
    private let looking = Mutex<Void>(())
    private let isStopped = Flag()

    /// Keys that encrypt session tickets are replaced this often; the previous ones still open older tickets.
    private static let ticketKeyLife: Int64 = 3600

    /// - Parameters:
    ///   - tls: for the interval, which no reload changes.
    ///   - inForce: what the identity in use was made from. Not read again: the files may have changed since.
    init(
        _ tls: ProxyConfiguration.TLS, inForce: IdentityFiles.Contents, _ shared: SharedState, _ loop: Loop
    ) {
        seen = Mutex(Seen(inForce: inForce))
        interval = tls.reloadInterval.nanoseconds
        (self.shared, self.loop) = (shared, loop)
    }

    func start() {
        logIdentity(shared.credentials.current.identity, "certificate loaded")
        scheduleNext()
    }

    func stop() { isStopped.set() }

    /// Those of the configuration in force: of two reloads at once, the later one decides.
    private var files: IdentityFiles { IdentityFiles(shared.snapshot.configuration.tls) }

    private func scheduleNext() {
        guard interval > 0 else { return }
        loop.spawn { loop in
            // Weakly: we hold the loop, which holds this.
            loop.reactor.runLater(after: self.interval) { [weak self] in self?.lookSoon() }
        }
    }

    private func lookSoon() {
        guard !isStopped.isSet else { return }
        // A full queue means that the machine has worse problems; the next interval tries again.
        if !BlockingPool.files.submit({ self.look() }) { scheduleNext() }
    }

    private func look() {
        check()
        do throws(TLSError) {
            _ = try shared.credentials.ticketKeys.rotateIfDue(
                now: Int64(Reactor.clock() / 1_000_000_000), every: IdentityWatcher.ticketKeyLife)
        } catch {
            shared.log(.error, "ticket keys not rotated") { $0.field("error", error.description) }
        }
        if !isStopped.isSet { scheduleNext() }
    }

    /// Takes the files' contents into use if they are new and a pair. One look at a time: of two, the one that read the
    /// older contents could be the last to put them in force.
    func check() { looking.withLock { _ in look(at: files) } }

    private func look(at files: IdentityFiles) {
        let contents: IdentityFiles.Contents
        do throws(FileError) { contents = try files.read() } catch {
            let isNews = seen.withLock { seen in
                defer { seen.readFailure = error.description }
                return seen.readFailure != error.description
            }
            if isNews { refuse(error.description) }
            return
        }
        let isNew = seen.withLock { seen in
            seen.readFailure = nil
            if contents == seen.inForce { seen.refused = nil }
            return contents != seen.inForce && contents != seen.refused
        }
        guard isNew else { return }
        do {
            let identity = try files.identity(of: contents)
            try shared.credentials.replace(with: identity)
            seen.withLock { seen in
                seen.inForce = contents
                seen.refused = nil
            }
            logIdentity(identity, "certificate reloaded")
        } catch {
            seen.withLock { $0.refused = contents }
            refuse("\(error)")
        }
    }

    private func refuse(_ reason: String) {
        shared.log(.warn, "certificate not reloaded, the old one stays") { $0.field("reason", reason) }
    }

    private func logIdentity(_ identity: TLSIdentity, _ message: String) {
        shared.log(.info, message) { line in
            line.field("subject", identity.subject)
            line.field("fingerprint", identity.fingerprint)
            line.field("not_after", UnixTime(seconds: identity.notAfter).description)
        }
        if identity.notAfter < SystemClock.now().seconds {
            shared.log(.warn, "certificate has expired") { line in
                line.field("not_after", UnixTime(seconds: identity.notAfter).description)
            }
        }
    }
}
