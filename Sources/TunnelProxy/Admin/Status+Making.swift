internal import FoundationEssentials
internal import Glibc
internal import TunnelCore
internal import TunnelIO
internal import TunnelPKI
internal import TunnelTLS

/// Puts a ``Status`` together.
struct StatusMaker {
    let context: AdminSite.Context
    let readiness: ProxyReadiness
    let collector: StatusCollector
    let cloudflared: CloudflaredWatch
    /// Made at the start.
    let instance = String(UInt64.random(in: 0...UInt64.max), radix: 16)
    let started = (wall: SystemClock.now(), clock: Reactor.clock())

    /// What is known now, gathered anew unless that was done a moment ago.
    func status() async -> Status {
        await collector.gather()
        return make(SystemClock.now(), Reactor.clock())
    }

    private func make(_ wall: UnixTime, _ clock: UInt64) -> Status {
        let snapshot = context.shared.snapshot
        let tunnels = snapshot.tunnels.compactMap { tunnel in
            context.shared.identities[tunnel.number].map { (tunnel: tunnel, identity: $0.current.identity) }
        }
        let log = context.shared.log
        let routes = zip(snapshot.routes, snapshot.names).map { facts(of: $0, $1, snapshot, wall, clock) }
        let findings = tunnels.flatMap { tunnel, identity in
            CertificateCheck(tunnel.configuration).findings(identity.leaf, now: wall.seconds)
        }
        let first = tunnels.min { $0.identity.notAfter < $1.identity.notAfter }
        return Status(
            time: wall.description, instance: instanceFacts(clock), domain: snapshot.configuration.tunnelDomain,
            listener: "\(context.address)", readiness: readinessFacts,
            configuration: Status.Configuration(
                hash: snapshot.configuration.publicHash, logLevel: log.threshold.rawValue,
                logFormat: snapshot.configuration.logFormat.rawValue),
            reloads: reloads(wall), certificate: first.map { certificateFacts($0.identity, wall) } ?? .none,
            tunnels: snapshot.configuration.tunnels.isEmpty
                ? nil
                : tunnels.map { tunnel, identity in
                    Status.TunnelFacts(
                        domain: tunnel.name ?? "", routes: tunnel.configuration.routes.count,
                        certificate: certificateFacts(identity, wall))
                },
            findings: (snapshot.findings + findings).map {
                Status.Note(
                    id: $0.id.rawValue, level: $0.level.rawValue, text: $0.text, detail: $0.detail, remedy: $0.remedy)
            },
            sandbox: Status.Sandbox(context.shared.sandbox),
            farSide: Status.FarSideFacts(
                connection: moment(collector.seen.connection, wall, clock),
                ping: moment(collector.seen.ping, wall, clock),
                request: moment(collector.seen.request, wall, clock)),
            counts: Status.Counts(
                tunnels: context.shared.tunnels, connections: context.shared.connections,
                requestsInFlight: context.shared.requests, requests: routes.reduce(0) { $0 &+ $1.requests },
                failures: routes.reduce(0) { $0 &+ $1.failures }, limitHits: collector.limitHits),
            cloudflared: cloudflared.facts, routes: routes, failures: failures(wall, clock),
            requests: requests(wall, clock))
    }

    private func moment(_ nanoseconds: UInt64, _ wall: UnixTime, _ clock: UInt64) -> Status.Moment? {
        guard nanoseconds > 0 else { return nil }
        let time = StatusCollector.wallTime(of: nanoseconds, now: clock, wall)
        return Status.Moment(time: time.description, ageSeconds: wall.seconds - time.seconds)
    }

    private func instanceFacts(_ clock: UInt64) -> Status.Instance {
        Status.Instance(
            id: instance, version: TunnelProxyVersion.current,
            libraries: ProxyVersions.libraries.map { Status.Library(name: $0.name, version: $0.version) },
            started: started.wall.description, uptimeSeconds: Int64((clock &- started.clock) / 1_000_000_000),
            process: getpid(), loops: context.loops.count)
    }

    private var readinessFacts: Status.Readiness {
        let conditions = readiness.conditions
        return Status.Readiness(
            ready: conditions.allSatisfy(\.holds),
            conditions: conditions.map { Status.Condition(id: $0.id, holds: $0.holds, detail: $0.detail) })
    }

    private func reloads(_ wall: UnixTime) -> [Status.Reload] {
        context.shared.reloads.all.map {
            Status.Reload(
                time: $0.time.description, ageSeconds: wall.seconds - $0.time.seconds, kind: $0.kind.rawValue,
                by: $0.by,
                result: $0.succeeded ? "ok" : "failed", detail: $0.detail)
        }
    }

    private func certificateFacts(_ identity: TLSIdentity, _ wall: UnixTime) -> Status.CertificateFacts {
        let (begin, end) = (identity.notBefore, identity.notAfter)
        let days = (Double(end - wall.seconds) / 86_400).rounded(.down)
        let spent = Double(wall.seconds - begin) / Double(max(1, end - begin)) * 100
        return Status.CertificateFacts(
            subject: identity.subject, issuer: identity.leaf.issuer, names: identity.dnsNames,
            notBefore: UnixTime(seconds: begin).toTheSecond, notAfter: UnixTime(seconds: end).toTheSecond,
            daysLeft: Int64(days), lifeSpentPercent: Int64(min(max(spent, -1), 101).rounded(spent > 100 ? .up : .down)),
            fingerprint: identity.fingerprint, key: "\(identity.keyType) \(identity.keyBits)")
    }

    // MARK: Routes and requests

    private func facts(
        of route: ProxySnapshot.Route, _ names: ProxySnapshot.Names, _ snapshot: ProxySnapshot, _ wall: UnixTime,
        _ clock: UInt64
    ) -> Status.RouteFacts {
        let series = collector.history.series[names.label]
        let (verdict, reason) = RouteVerdict.of(series, refusal: snapshot.refusal(of: route))
        let total = series?.total ?? RecentExchanges.Tally()
        return Status.RouteFacts(
            route: names.label, tunnel: names.tunnel, url: names.publicURL, upstream: route.upstream.description,
            verdict: verdict,
            reason: reason, requests: total.requests, failures: total.failures, latencyMs: series?.recent.latencyMs,
            lastStatus: total.lastStatus > 0 ? Int(total.lastStatus) : nil,
            last: moment(total.lastFinished, wall, clock),
            history: collector.history.history(of: names.label))
    }

    private func failures(_ wall: UnixTime, _ clock: UInt64) -> [Status.FailureGroup] {
        let groups = collector.failures.sorted { $0.value.last > $1.value.last }
        return groups.compactMap { cause, failures in
            guard failures.count > 0, let last = moment(failures.last, wall, clock) else { return nil }
            let words = cause.words
            return Status.FailureGroup(
                cause: cause.id, title: words.title, remedy: words.remedy, count: failures.count,
                routes: failures.routes.reversed(), last: last)
        }
    }

    private func requests(_ wall: UnixTime, _ clock: UInt64) -> [Status.RequestFacts] {
        collector.requests.map { request in
            var facts = request.facts
            facts.ageSeconds = Int64(clamping: (clock &- min(clock, request.finished)) / 1_000_000_000)
            return facts
        }
    }
}

extension Status.Sandbox {
    init(_ state: SandboxState?) {
        guard let state else { return }
        mode = state.mode.rawValue
        (landlockAbi, filtersCalls) = (state.landlock, state.filtersCalls)
        (confinesSignals, missing) = (state.confinesSignals, state.missing)
        if case .only(let ports) = state.bind { bindPorts = ports.sorted() }
        if case .only(let ports) = state.connect { connectPorts = ports.sorted() }
    }

    /// In a few words.
    var summary: String {
        if mode == "none" || mode == "off" { return mode }
        let parts = [
            landlockAbi > 0 ? "Landlock \(landlockAbi)" : "no Landlock",
            filtersCalls ? "system calls filtered" : "system calls not filtered",
        ]
        return "\(mode): \(parts.joined(separator: ", "))"
    }
}

extension ProxySnapshot {
    /// Why the policy refuses the address that a route names; `nil` for a name, whose addresses may change.
    fileprivate func refusal(of route: Route) -> String? {
        guard let address = IPAddress(route.upstream.host) else { return nil }
        let verdict = verdict(address, of: route.key)
        return verdict.isAllowed ? nil : "\(UpstreamPolicy.refusal(for: address)): \(verdict.name)"
    }
}

extension ProxyConfiguration {
    /// SHA-256 over what is in force: each field that ``PublicFields`` may show, and the routes.
    fileprivate var publicHash: String {
        let text = PublicFields.of(self).map { "\($0.name)=\($0.value)\n" }.joined()
        return (try? Array(text.utf8).sha256())?.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
            .joined() ?? ""
    }
}

extension AdminResponse {
    /// A value whose names are in snake case there.
    static func snakeCase(_ value: some Encodable) -> AdminResponse {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Values of ours: texts, numbers and lists of these can always be encoded.
        let body = (try? encoder.encode(value)) ?? Data()
        return AdminResponse(type: "application/json", body: Array(body) + [UInt8(ascii: "\n")])
    }
}
