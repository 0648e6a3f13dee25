internal import TunnelCore
internal import TunnelIO

/// Asks cloudflared's `/ready` every few seconds, where `cloudflared_metrics` says where that is, and keeps what it said:
/// nobody who asks for the page makes a request there.
final class CloudflaredWatch {
    private let reactor: Reactor
    private let address: () -> UpstreamAddress?
    private lazy var timer = Deadline(on: reactor) { [unowned self] in beat() }
    private var isAsking = false

    /// What it said last; `nil` where it is not to be asked.
    private(set) var facts: Status.Cloudflared?

    private static let interval: UInt64 = 10_000_000_000
    private static let limit: UInt64 = 3_000_000_000

    /// - Parameter address: as the configuration in force has it.
    init(on reactor: Reactor, address: @escaping () -> UpstreamAddress?) {
        (self.reactor, self.address) = (reactor, address)
    }

    func start() { beat() }
    func stop() { timer.cancel() }

    private func beat() {
        timer.set(after: Self.interval)
        guard let address = address() else {
            facts = nil
            return
        }
        guard !isAsking else { return }
        isAsking = true
        reactor.spawn(with: self) { await $0.ask(address) }
    }

    private func ask(_ address: UpstreamAddress) async {
        var next: Status.Cloudflared
        do throws(CloudflaredStatus.Failure) {
            let status = try await CloudflaredStatus.read(from: address, timeout: Self.limit, on: reactor)
            next = Status.Cloudflared(
                ready: status.isReady, connections: status.readyConnections,
                detail: status.isReady ? "connected to the edge" : "no connection to the edge")
        } catch { next = Status.Cloudflared(ready: false, detail: "\(error)") }
        next.checked = SystemClock.now().description
        facts = next
        isAsking = false
    }
}
