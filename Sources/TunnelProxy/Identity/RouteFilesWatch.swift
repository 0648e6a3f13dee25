internal import Synchronization
internal import TunnelCore
internal import TunnelIO

/// Looks at the files that `route_options` names whenever the certificate's are looked at, by content, and puts what is new
/// in force.
///
/// What cannot be used changes nothing and is told once; a pair that is half written is whole at the next look. Connections
/// that were made by older certificates or CAs are not used for new requests; those of a route whose header value alone
/// has changed are.
final class RouteFilesWatch: Sendable {
    /// What was refused last.
    private let refused = Mutex<RouteFiles.Digests?>(nil)

    /// Blocks while it reads.
    func look(_ shared: SharedState) {
        let snapshot = shared.snapshot
        let hasFiles = snapshot.configuration.perTunnel.contains { tunnel in
            tunnel.routeOptions.contains { !$0.value.files.isEmpty }
        }
        guard hasFiles else { return }
        let found = RouteFiles.digests(of: snapshot.configuration)
        guard found != snapshot.routeFiles else {
            refused.withLock { $0 = nil }
            return
        }
        guard refused.withLock({ $0 != found }) else { return }
        do {
            let isTLS = found.tls != snapshot.routeFiles.tls
            try shared.replaceSnapshot { current in
                let next = try ProxySnapshot(
                    current.configuration, after: current, rereading: isTLS ? .all : .headerValues)
                return (next, ())
            }
            refused.withLock { $0 = nil }
            shared.log(.info, "route files reloaded") { $0.field("what", isTLS ? "tls" : "set_headers") }
            note(shared, succeeded: true, "files of route_options are in force anew")
        } catch {
            refused.withLock { $0 = found }
            shared.log(.warn, "route files not reloaded, the old ones stay") { $0.field("reason", "\(error)") }
            note(shared, succeeded: false, "\(error)")
        }
    }

    private func note(_ shared: SharedState, succeeded: Bool, _ detail: String) {
        shared.reloads.note(.configuration, by: "watch", succeeded: succeeded, detail, at: SystemClock.now())
    }
}
