internal import Synchronization
internal import TunnelCore
internal import TunnelIO
internal import TunnelPKI
internal import TunnelTLS

/// The watch over one tunnel's certificate and ticket keys, without a clock of its own: ``IdentityWatcher`` says when to look.
///
/// Content, not inode or time: Kubernetes changes a mounted Secret by moving a symlink above the file. A pair that is
/// broken, does not match or is half written changes nothing and is logged once; the next look finds it whole.
final class TunnelWatch: Sendable {
    private struct Seen {
        /// `nil` where it is not known what the identity in use was made from.
        var inForce: IdentityFiles.Digest?
        /// What was refused last, by its digest or the error of reading it.
        var refused: IdentityFiles.Digest?
        var readFailure: String?
        var expiry: ExpiryWatch
        /// What was told of the certificate in force.
        var told: Set<StartupFinding> = []
    }

    private let number: Int
    private let shared: SharedState
    private let credentials: ServerCredentials
    private let seen: Mutex<Seen>
    private let ticketKeys: TicketKeyWatch
    /// Seconds since 1970.
    private let now: @Sendable () -> Int64

    /// - Parameters:
    ///   - number: of the tunnel.
    ///   - files: what its credentials were made from. Not read again: the files may have changed since.
    init(
        _ number: Int, _ credentials: ServerCredentials, _ files: FilesAtStart?, _ shared: SharedState,
        now: @escaping @Sendable () -> Int64
    ) {
        let expiry = ExpiryWatch(notAfter: credentials.current.identity.notAfter, now: now())
        seen = Mutex(Seen(inForce: files?.identity, expiry: expiry))
        (self.number, self.credentials, self.shared, self.now) = (number, credentials, shared, now)
        ticketKeys = TicketKeyWatch(inForce: files?.ticketKeys, number, credentials, shared)
    }

    /// As the configuration in force has it: of two reloads at once, the later one decides. `nil` where that has it no more.
    private var tunnel: ProxySnapshot.Tunnel? { shared.snapshot.tunnel(number) }

    func isOf(_ credentials: ServerCredentials) -> Bool { self.credentials === credentials }

    func start() {
        logIdentity(credentials.current.identity, "certificate loaded")
        tellFindings()
    }

    // MARK: Time

    /// Tells when the end of the certificate has come nearer.
    func watchClock() {
        let now = now()
        guard seen.withLock({ $0.expiry.isNews(at: now) }), let tunnel else { return }
        let findings = CertificateCheck(tunnel.configuration).findings(credentials.current.identity.leaf, now: now)
        for finding in findings where finding.isOfTime { shared.log.report(finding, of: tunnel.name) }
    }

    func rotateTicketKeys(now: Int64) { ticketKeys.rotate(now: now) }

    // MARK: Files

    /// Takes the files' contents into use if they are new and a pair. One look at a time: of two, the one that read the
    /// older contents could be the last to put them in force.
    func look() {
        guard let tunnel else { return }
        look(at: IdentityFiles(of: tunnel.configuration))
        ticketKeys.look(tunnel.configuration)
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
            logIdentity(credentials.current.identity, "certificate files are those in force again")
        }
        guard isNew else { return }
        do {
            let identity = try files.identity(of: contents)
            try credentials.replace(with: identity)
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
        shared.log(.warn, "certificate not reloaded, the old one stays") { line in
            if let name = tunnel?.name { line.field("tunnel", name) }
            line.field("reason", reason)
        }
        shared.reloads.note(.certificate, by: "watch", succeeded: false, reason, at: SystemClock.now())
    }

    // MARK: Log

    private func logIdentity(_ identity: TLSIdentity, _ message: String) {
        shared.log(.info, message) { line in
            if let name = tunnel?.name { line.field("tunnel", name) }
            line.field("subject", identity.subject)
            line.field("fingerprint", identity.fingerprint)
            line.field("not_after", UnixTime(seconds: identity.notAfter).description)
        }
    }

    /// Tells what is wrong with the certificate in force, for the routes in force, unless that was told before.
    ///
    /// - Parameter ofTime: also what comes with time alone, which ``watchClock()`` tells from then on.
    func tellFindings(ofTime: Bool = true) {
        guard let tunnel else { return }
        let leaf = credentials.current.identity.leaf
        let findings = CertificateCheck(tunnel.configuration).findings(leaf, now: now())
            .filter { ofTime || !$0.isOfTime }
        let news = seen.withLock { seen in
            defer { seen.told.formUnion(findings) }
            return findings.filter { !seen.told.contains($0) }
        }
        for finding in news { shared.log.report(finding, of: tunnel.name) }
    }
}
