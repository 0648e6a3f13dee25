import TunnelCore
import TunnelIO
import TunnelTLS

@testable import TunnelProxy

// What most tests say of the only tunnel there is. Its number is 0.

extension SharedState {
    convenience init(_ snapshot: ProxySnapshot, credentials: ServerCredentials, log: Log) {
        self.init(snapshot, identities: TunnelCredentials(credentials), log: log)
    }

    var credentials: ServerCredentials {
        guard let only = identities[0] else { preconditionFailure("no tunnel") }
        return only
    }
}

extension IdentityWatcher {
    convenience init(
        _ tls: ProxyConfiguration.TLS, inForce: IdentityFiles.Digest, _ shared: SharedState, _ loop: Loop,
        clockInterval: Duration = .seconds(60), now: @escaping @Sendable () -> Int64 = { SystemClock.now().seconds }
    ) {
        self.init(
            tls, [0: FilesAtStart(identity: inForce, ticketKeys: nil)], shared, loop, clockInterval: clockInterval,
            now: now)
    }
}

extension TicketKeyWatch {
    convenience init(inForce: [UInt8]?, _ shared: SharedState) {
        self.init(inForce: inForce, 0, shared.credentials, shared)
    }
}

extension RouteSlots {
    init(_ names: [String], after previous: RouteSlots? = nil) {
        self.init(names.map { Name($0) }, after: previous)
    }
}

extension ProxySnapshot {
    func route(for authority: Span<UInt8>) -> Int? { route(for: authority, of: 0) }
}
