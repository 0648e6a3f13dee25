internal import TunnelCore
package import TunnelIO
internal import TunnelTLS

/// An HTTP/1.1 client for small requests and responses, one per loop: each is held in memory whole.
///
/// It follows no redirects and asks for no compression. A connection carries one request at a time; a few are parked for
/// the next one. Nothing ends a request from outside but its time-out.
package final class HTTPClient: LoopResident {
    /// Connections to one place that are parked, for less time than servers and the devices on the way usually keep them.
    static let parking = ConnectionPool.Limits(maxParked: 4, idleTimeout: 30_000_000_000)
    /// Places with parked connections. Who talks to more of them opens new ones.
    static let maxPlaces = 4
    /// Longer time-outs are taken for this one, 24 days, so that sums of times do not overflow.
    private static let maxTimeout = Duration.seconds(1 << 21)

    private struct Place {
        let endpoint: HTTPEndpoint
        /// What verified the connections. Held, so that no other context can come to have its identity.
        let tls: TLSClientContext?
        let pool: ConnectionPool
    }

    private unowned let reactor: Reactor
    /// The one that was used last at the end.
    private var places: [Place] = []

    package init(on reactor: Reactor) { self.reactor = reactor }

    /// Sends a request and returns its response, whatever the status.
    ///
    /// Only a repeatable request goes out on a parked connection, and once more on a new one if the parked one ends before
    /// any byte of a response.
    ///
    /// - Parameters:
    ///   - endpoint: of the request's service, with the proxy on the way.
    ///   - tls: for secure endpoints: the anchors that must vouch for the host.
    ///   - proxyTLS: for proxies that are reached in TLS: the anchors that must vouch for theirs.
    func send(
        _ request: HTTPRequest, to endpoint: HTTPEndpoint, tls: TLSClientContext?, proxyTLS: TLSClientContext?
    ) async throws(TransportError) -> HTTPResponse {
        var bytes = try request.encoded()
        let method: Method = request.method == "HEAD" ? .head : .other
        let call = HTTPCall(endpoint, timeout: HTTPClient.nanoseconds(request.timeout), on: reactor)
        defer { call.end() }
        let pool = pool(for: endpoint, tls)
        // Neither endpoint nor anchors of a pool ever change, so it has one generation.
        var reused = request.isRepeatable ? pool.checkOut(generation: 0) : nil
        while true {
            let link: HTTPLink
            if let reused { link = HTTPLink(reused) } else { link = try await call.open(tls, proxyTLS: proxyTLS) }
            switch try await call.exchange(&bytes, method, on: link, maxBodyBytes: request.maxResponseBytes) {
            case .response(let response, let keeps):
                guard keeps else { return response }
                link.connection.exchanges += 1
                let keepAlive = response.first("keep-alive").flatMap { value in
                    ConnectionPool.keepAliveTimeout(Array(value.utf8).span)
                }
                pool.park(link.connection, generation: 0, limits: Self.parking, keepAliveTimeout: keepAlive)
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

    // MARK: Parked connections

    private func pool(for endpoint: HTTPEndpoint, _ tls: TLSClientContext?) -> ConnectionPool {
        if let index = places.firstIndex(where: { $0.endpoint == endpoint && $0.tls === tls }) {
            let place = places.remove(at: index)
            places.append(place)
            return place.pool
        }
        if places.count == Self.maxPlaces { places.removeFirst().pool.closeAll() }
        let pool = ConnectionPool(on: reactor)
        places.append(Place(endpoint: endpoint, tls: tls, pool: pool))
        return pool
    }

    /// The number of connections that wait for a request.
    var parkedCount: Int { places.reduce(0) { $0 + $1.pool.count } }

    package func loopHasEnded() {
        for place in places { place.pool.closeAll() }
        places = []
    }
}
