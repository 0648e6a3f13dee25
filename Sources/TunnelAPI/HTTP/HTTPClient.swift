internal import TunnelCore
package import TunnelIO
internal import TunnelTLS

/// An HTTP/1.1 client for small requests and responses, one per loop: each is held in memory whole.
///
/// It follows no redirects and asks for no compression. A connection carries one request at a time; a few are kept for
/// the next one. Nothing ends a request from outside but its time-out.
package final class HTTPClient: LoopResident {
    /// Connections kept in all.
    static let maxKept = 4
    /// Shorter than servers and the devices on the way usually keep them.
    private static let idleTimeout: UInt64 = 30_000_000_000
    /// Longer time-outs are taken for this one, 24 days, so that sums of times do not overflow.
    private static let maxTimeout = Duration.seconds(1 << 21)

    private struct Kept {
        let endpoint: HTTPEndpoint
        /// What verified the connection. Held, so that no other context can come to have its identity.
        let tls: TLSClientContext?
        let connection: ClientConnection
    }

    private unowned let reactor: Reactor
    /// The longest idle in front.
    private var kept: [Kept] = []
    private lazy var sweep = Deadline { [weak self] in self?.closeOverdue() }

    package init(on reactor: Reactor) { self.reactor = reactor }

    /// Sends a request and returns its response, whatever the status.
    ///
    /// Only a repeatable request goes out on a kept connection, and once more on a new one if the kept one ends before any
    /// byte of a response.
    ///
    /// - Parameters:
    ///   - endpoint: of the request's service, with the proxy on the way.
    ///   - tls: for secure endpoints: the anchors that must vouch for the host.
    func send(
        _ request: HTTPRequest, to endpoint: HTTPEndpoint, tls: TLSClientContext?
    ) async throws(TransportError) -> HTTPResponse {
        var bytes = try request.encoded()
        let method: Method = request.method == "HEAD" ? .head : .other
        let call = HTTPCall(endpoint, timeout: HTTPClient.nanoseconds(request.timeout), on: reactor)
        defer { call.end() }
        var reused = request.isRepeatable ? take(endpoint, tls) : nil
        while true {
            let connection: ClientConnection
            if let reused { connection = reused } else { connection = try await call.open(tls) }
            switch try await call.exchange(&bytes, method, on: connection, maxBodyBytes: request.maxResponseBytes) {
            case .response(let response, let keeps):
                if keeps { keep(connection, endpoint, tls) }
                return response
            // Only a reused connection can have been dead, so this comes once.
            case .wasDead: reused = nil
            }
        }
    }

    private static func nanoseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = max(.zero, min(duration, maxTimeout)).components
        return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds) / 1_000_000_000
    }

    // MARK: Kept connections

    /// The number of connections that wait for a request.
    var keptCount: Int { kept.count }

    package func loopHasEnded() {
        reactor.remove(sweep)
        for entry in kept { entry.connection.close() }
        kept = []
    }

    private func take(_ endpoint: HTTPEndpoint, _ tls: TLSClientContext?) -> ClientConnection? {
        while let index = kept.lastIndex(where: { $0.endpoint == endpoint && $0.tls === tls }) {
            let connection = kept.remove(at: index).connection
            connection.takeUp()
            // What came unasked could be taken for the next response.
            if !connection.hasInputNow { return connection }
            connection.close()
        }
        return nil
    }

    private func keep(_ connection: ClientConnection, _ endpoint: HTTPEndpoint, _ tls: TLSClientContext?) {
        if kept.count == HTTPClient.maxKept { kept.removeFirst().connection.close() }
        connection.exchanges += 1
        kept.append(Kept(endpoint: endpoint, tls: tls, connection: connection))
        connection.putAside { [weak self] connection in
            self?.kept.removeAll { $0.connection === connection }
            connection.close()
        }
        if !sweep.isSet { reactor.set(sweep, after: HTTPClient.idleTimeout) }
    }

    private func closeOverdue() {
        while let first = kept.first, reactor.now &- first.connection.idleSince >= HTTPClient.idleTimeout {
            kept.removeFirst().connection.close()
        }
        if let first = kept.first {
            reactor.set(sweep, after: first.connection.idleSince &+ HTTPClient.idleTimeout &- reactor.now)
        }
    }
}
