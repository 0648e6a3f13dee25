internal import TunnelCore
internal import TunnelIO
internal import TunnelPKI
internal import TunnelTLS

/// Whether traffic should be sent to the proxy: it is not about to end, its certificate is one that clients take, and a tunnel
/// opened from the outside, through its own listener, comes to a handshake with that certificate.
///
/// Of several tunnels one that can be used is enough: the others are not to suffer for one whose certificate has ended.
final class ProxyReadiness {
    /// One of the conditions, all of which must hold.
    struct Condition: Encodable {
        let id: String
        let holds: Bool
        let detail: String
    }

    private enum SelfTest {
        /// None has ended yet.
        case pending
        case passed
        case failed(String)
    }

    private let context: AdminSite.Context
    private let worker: Worker
    private var selfTest = SelfTest.pending
    /// The certificate that was tested last, and is being tested.
    private var tested: String?
    private var isTesting = false
    /// When the last test was under way, by the loops' clock.
    private var testTime: ClosedRange<UInt64> = 0...0
    private var wasReady = false
    private var nextTry: UInt64 = 0
    private lazy var look = Deadline(on: worker.reactor) { [unowned self] in lookAround() }

    private static let interval: UInt64 = 1_000_000_000
    private static let pauseAfterFailure: UInt64 = 5_000_000_000
    private static let testLimit = Duration.seconds(5)

    init(_ context: AdminSite.Context, on worker: Worker) { (self.context, self.worker) = (context, worker) }

    func start() { lookAround() }
    func stop() { look.cancel() }

    /// Every condition, as it is now.
    var conditions: [Condition] { [stopCondition, certificateCondition, selfTestCondition] }

    private var stopCondition: Condition {
        let isStopping = context.shared.isStopping
        return Condition(
            id: "not_stopping", holds: !isStopping, detail: isStopping ? "the proxy is about to end" : "serving")
    }

    private var certificateCondition: Condition {
        let all = certificates
        let failures = all.compactMap { certificate in
            certificate.failure.map { (certificate.tunnel.name.map { "\($0): " } ?? "") + "\($0)" }
        }
        let end = all.filter { $0.failure == nil }.map(\.leaf.notAfter).min()
        let detail = failures + (end.map { ["valid until \(UnixTime(seconds: $0))"] } ?? [])
        return Condition(id: "certificate", holds: end != nil, detail: detail.joined(separator: "; "))
    }

    private typealias TunnelCertificate = (tunnel: ProxySnapshot.Tunnel, leaf: Certificate, failure: StartupFinding?)

    /// Of each tunnel its certificate, and why no client would take it.
    private var certificates: [TunnelCertificate] {
        let now = SystemClock.now().seconds
        return context.shared.snapshot.tunnels.compactMap { tunnel in
            guard let leaf = context.shared.identities[tunnel.number]?.current.identity.leaf else { return nil }
            return (tunnel, leaf, CertificateCheck(tunnel.configuration).ofDomain.failures(leaf, now: now).first)
        }
    }

    /// The tunnel that is tried: the first that can be used.
    private var candidate: TunnelCertificate? {
        let all = certificates
        return all.first { $0.failure == nil } ?? all.first
    }

    private var selfTestCondition: Condition {
        switch selfTest {
        case .pending: Condition(id: "self_test", holds: false, detail: "under way")
        case .passed:
            Condition(id: "self_test", holds: true, detail: "a tunnel through \(context.address) shook hands")
        case .failed(let reason): Condition(id: "self_test", holds: false, detail: reason)
        }
    }

    /// Whether a tunnel that was opened then may have been that of the self-test.
    func mayHaveOpenedTunnel(at moment: UInt64) -> Bool { testTime.contains(moment) }

    // MARK: The self-test

    private func lookAround() {
        look.set(after: Self.interval)
        let isReady = conditions.allSatisfy(\.holds)
        if isReady != wasReady { tell(isReady) }
        wasReady = isReady
        let now = Reactor.clock()
        let fingerprint = candidate?.leaf.fingerprint
        let isDue: Bool
        switch selfTest {
        case .pending: isDue = true
        case .passed: isDue = fingerprint != tested
        case .failed: isDue = fingerprint != tested || now >= nextTry
        }
        guard isDue, !isTesting, !context.shared.isStopping else { return }
        (isTesting, tested) = (true, fingerprint)
        worker.reactor.spawn(with: self) { await $0.test() }
    }

    /// Plays cloudflared and Claude up to the end of the inner handshake. What was known before stands until then.
    private func test() async {
        // A loop's time is that of the beginning of its turn.
        testTime = Reactor.clock() &- 100_000_000...UInt64.max
        defer { testTime = testTime.lowerBound...Reactor.clock() }
        do {
            guard let (tunnel, expected, _) = candidate else { throw FarSideError("no tunnel has a certificate") }
            let check = CertificateCheck(tunnel.configuration)
            let farSide = try await FarSide.connect(
                to: context.address.fromThisHost, host: check.anyHost, within: Self.testLimit, on: worker.reactor)
            try await farSide.openWebSocket()
            let shown = try Certificate(der: try await farSide.inspectCertificate(name: check.anyHost))
            let present = context.shared.identities[tunnel.number]?.current.identity.leaf
            guard shown == expected || shown == present else {
                throw FarSideError("\(context.address) shows another certificate than ours")
            }
            selfTest = .passed
        } catch {
            selfTest = .failed("\(error)")
            nextTry = Reactor.clock() &+ Self.pauseAfterFailure
            worker.log(.warn, "self-test failed") { $0.field("reason", "\(error)") }
        }
        isTesting = false
        lookAround()
    }

    private func tell(_ isReady: Bool) {
        guard !isReady else { return worker.log(.info, "ready") { _ in } }
        let reasons = conditions.filter { !$0.holds }.map { "\($0.id): \($0.detail)" }
        worker.log(context.shared.isStopping ? .info : .warn, "not ready") {
            $0.field("reason", reasons.joined(separator: "; "))
        }
    }
}
