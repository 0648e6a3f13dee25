import TunnelCore
import TunnelIO
import TunnelPKI
import TunnelProxy

/// What can be told without the network: unsafe settings, certificate and key, the clock.
enum SettingsCheck {
    static func run(_ review: ConfigurationReview) -> [CheckResult] {
        let id = "settings"
        // Addresses have their verdict at the route.
        var results = review.findings.filter { $0.id != .upstreamRefused }.map { finding in
            let fault = Fault.named(finding.id.rawValue) ?? .configurationInvalid
            return CheckResult.found(fault, in: id, level: .warn, evidence: [finding.detail], next: [finding.remedy])
        }
        let isPublic = review.findings.contains { $0.id == .publicListener }
        if !isPublic, let reach = ListenerReach.beyondHost(review.configuration.listenAddress) {
            results.append(.found(.listenerBeyondHost, in: id, evidence: [reach]))
        }
        return results.isEmpty ? [.pass(id, "no setting is unsafe")] : results
    }

    /// What of the sandbox this kernel has, for whoever starts the proxy as this command was started.
    static func sandbox(_ configuration: ProxyConfiguration, file: String) -> CheckResult {
        let id = "sandbox"
        let mode = configuration.sandboxMode
        if mode == .off { return .pass(id, "sandbox: off") }
        let state = Sandbox.preview(
            configuration.sandboxRules(file: ReloadServer.absolute(file)), mode: mode)
        if mode == .required, !state.missing.isEmpty {
            return .found(.sandboxMissing, in: id, evidence: state.missing)
        }
        let parts = [
            state.landlock > 0 ? "Landlock \(state.landlock)" : "no Landlock",
            state.filtersCalls ? "system calls filtered" : "system calls not filtered",
        ]
        let evidence = ["listens on \(state.bind.words), connects to \(state.connect.words)"] + state.missing
        return .pass(id, "\(mode.rawValue): \(parts.joined(separator: ", "))", evidence: evidence)
    }

    // MARK: Certificate

    /// - Parameter ca: the path of the CA's file.
    static func certificate(_ configuration: ProxyConfiguration, ca: String?) -> [CheckResult] {
        let id = "certificate"
        let now = SystemClock.now().seconds
        var results: [CheckResult] = []
        var file: [UInt8]?
        if let ca {
            do throws(FileError) { file = try FileBytes.read(ca) } catch {
                results.append(.found(.caUnreadable, in: id, evidence: ["\(error)"]))
            }
        }
        let review = ConfigurationReview.identity(of: configuration, ca: file, now: now)
        for finding in review.findings {
            let fault = Fault.named(finding.rule.id) ?? .certificateUnusable
            results.append(
                .found(
                    fault, in: id, level: finding.severity == .error ? .fail : .warn,
                    evidence: ["\(review.place(of: finding) ?? "CA certificate \(ca ?? "")"): \(finding.found)"],
                    next: [finding.remedy]))
        }
        if let failure = review.failure { results.append(.found(failure.fault, in: id, evidence: [failure.reason])) }
        guard let leaf = review.leaf, results.allSatisfy({ $0.level != .fail }) else { return results }
        let days = (leaf.notAfter - now) / 86_400
        let names = leaf.dnsNames.prefix(8).map { Diagnostic.excerpt($0) }.joined(separator: ", ")
        let facts = [
            "names \(names)", "valid from \(HTTPDate.text(leaf.notBefore)) to \(HTTPDate.text(leaf.notAfter))",
            "SHA-256 \(leaf.fingerprint)",
            ca == nil ? "the CA was not looked at: -ca" : "signed by the CA in \(ca ?? "")",
        ]
        return results + [.pass(id, "\(names): \(days) days left", evidence: facts)]
    }

    // MARK: Session tickets

    /// Whether the file of ticket keys is set, and can be used. That it is not there is a finding of the settings.
    static func ticketKeys(_ configuration: ProxyConfiguration) -> [CheckResult] {
        let id = "session-tickets"
        guard configuration.tls.sessionTickets else { return [.pass(id, "clients get none")] }
        guard let source = TicketKeySource(configuration.tls) else {
            return [.pass(id, "keys of this proxy alone: tls.ticket_keys_file is not set")]
        }
        do {
            guard var contents = try source.read() else { return [] }
            defer { contents.wipe() }
            let age = contents.keys.rotatedAt.map { "rotated \(HTTPDate.text($0))" }
            return [
                .pass(
                    id, "\(configuration.tls.ticketKeysFile ?? ""): \(TicketKeyFile.keyCount) keys",
                    evidence: [age ?? "the file does not say when they were rotated"])
            ]
        } catch {
            return [.found(.ticketKeysUnusable, in: id, evidence: ["tls.ticket_keys_file: \(error)"])]
        }
    }

    // MARK: Clock

    /// The day on which 0.2 was written; no clock that is right stands before it.
    private static let firstDay: Int64 = 1_790_000_000
    private static let tolerance: Int64 = 60

    /// - Parameter dates: seconds since 1970 by the MCP servers' clocks, and by ours at the same moment.
    static func clock(dates: [(theirs: Int64, ours: Int64)], now: Int64) -> CheckResult {
        let id = "clock"
        let shown = "it is \(HTTPDate.text(now)) here"
        if now < firstDay { return .found(.clockImplausible, in: id, evidence: [shown]) }
        // The middle one: a single server that is wrong proves nothing against ours.
        let skews = dates.map { $0.theirs - $0.ours }.sorted()
        guard let skew = skews.isEmpty ? nil : skews[skews.count / 2] else {
            return .pass(id, "\(shown); nobody was there to compare with")
        }
        if abs(skew) > tolerance {
            let evidence = "by the MCP servers it is \(abs(skew)) s \(skew > 0 ? "later" : "earlier")"
            return .found(.clockSkew, in: id, evidence: [shown, evidence])
        }
        return .pass(id, "\(shown), within \(tolerance) s of the MCP servers")
    }
}
