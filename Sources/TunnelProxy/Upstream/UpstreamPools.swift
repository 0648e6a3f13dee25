internal import TunnelCore
internal import TunnelIO

/// The connections of one worker to its upstreams: opened where the policy allows, parked for the next request.
final class UpstreamPools {
    private let worker: Worker
    private unowned let reactor: Reactor
    private var pools: [UpstreamAddress: ConnectionPool] = [:]
    /// Shells without a connection.
    private var spareClients: [HTTP1Client] = []
    private static let maxSpareClients = 256

    init(on worker: Worker) {
        self.worker = worker
        reactor = worker.reactor
    }

    // MARK: Streams

    /// An upstream's side for one request; to be given to ``park(_:_:_:)`` or ``drop(_:)`` in the end.
    ///
    /// - Parameters:
    ///   - fresh: on a connection that was not used before.
    ///   - cancellation: gives up waiting.
    func client(
        for upstream: UpstreamAddress, _ snapshot: ProxySnapshot, fresh: Bool, cancellation: Cancellation
    ) async throws(LeaseError) -> any ClientStream {
        let connection = try await checkOut(upstream, snapshot, fresh: fresh, cancellation: cancellation)
        let client = spareClients.popLast() ?? HTTP1Client(on: worker)
        client.attach(connection)
        return client
    }

    /// Keeps the connection for another request, if nothing of this one's response is left on it.
    func park(_ client: any ClientStream, _ upstream: UpstreamAddress, _ snapshot: ProxySnapshot) {
        guard let client = client as? HTTP1Client else { return }
        let (isDrained, timeout) = (client.isDrained, client.keepAliveTimeout)
        guard let connection = release(client) else { return }
        guard isDrained else { return connection.close() }
        park(connection, upstream, snapshot, keepAliveTimeout: timeout)
    }

    /// Ends the connection.
    func drop(_ client: any ClientStream) {
        guard let client = client as? HTTP1Client else { return }
        release(client)?.close()
    }

    private func release(_ client: HTTP1Client) -> ClientConnection? {
        let connection = client.detach()
        if spareClients.count < UpstreamPools.maxSpareClients { spareClients.append(client) }
        return connection
    }

    // MARK: Connections

    /// A connection for one request.
    func checkOut(
        _ upstream: UpstreamAddress, _ snapshot: ProxySnapshot, fresh: Bool, cancellation: Cancellation
    ) async throws(LeaseError) -> ClientConnection {
        if !fresh, let parked = pools[upstream]?.checkOut(generation: snapshot.generation(of: upstream.scheme)) {
            worker.metrics.poolHits += 1
            return parked
        }
        let addresses = try await allowedAddresses(of: upstream, snapshot, cancellation)
        let socket: Socket
        let address: SocketAddress
        do throws(DialError) {
            (socket, address) = try await Connector.connect(
                to: addresses, timeout: snapshot.connectTimeout, cancellation: cancellation, on: reactor)
        } catch {
            worker.metrics.upstreamConnectsFailed += 1
            throw .dial(error)
        }
        worker.metrics.upstreamConnects += 1
        let connection = ClientConnection(socket, address, on: reactor)
        guard upstream.scheme == .https else { return connection }
        do throws(IOError) {
            guard let context = snapshot.upstreamTLS else {
                throw IOError(.tls, "handshake", detail: "no trust anchor")
            }
            // A trailing dot makes a name absolute for the resolver and is no part of it in TLS (RFC 6066 §3).
            let name = upstream.host.hasSuffix(".") ? String(upstream.host.dropLast()) : upstream.host
            try await connection.startTLS(
                context, serverName: name, timeout: snapshot.connectTimeout, cancellation: cancellation)
        } catch {
            connection.close()
            worker.metrics.upstreamConnectsFailed += 1
            throw .tls(address, error)
        }
        return connection
    }

    /// Resolves the upstream and checks each address; only literals that passed are dialled.
    private func allowedAddresses(
        of upstream: UpstreamAddress, _ snapshot: ProxySnapshot, _ cancellation: Cancellation
    ) async throws(LeaseError) -> [SocketAddress] {
        let found: [IPAddress]
        do throws(IOError) {
            found = try await reactor.resolver.resolve(
                upstream.host, timeout: snapshot.dnsTimeout, ttl: snapshot.dnsTTL, cancellation: cancellation)
        } catch {
            throw .lookup(host: upstream.host, error)
        }
        var allowed: [IPAddress] = []
        var refusal: LeaseError?
        for address in found {
            switch snapshot.policy.verdict(address, port: upstream.port) {
            case .allowed: allowed.append(address)
            case .denied(let reason): refusal = refusal ?? .refused(address, reason)
            }
        }
        if allowed.isEmpty { throw refusal ?? .lookup(host: upstream.host, IOError(.nameNotFound, "lookup")) }
        return Connector.alternating(allowed).map { .ip($0, port: upstream.port) }
    }

    /// Keeps a connection whose last response is whole.
    ///
    /// - Parameters:
    ///   - snapshot: by which it was checked out.
    ///   - keepAliveTimeout: seconds after which the upstream says that it will end it.
    func park(
        _ connection: ClientConnection, _ upstream: UpstreamAddress, _ snapshot: ProxySnapshot,
        keepAliveTimeout: Int? = nil
    ) {
        guard case .ip(let address, let port) = connection.address,
            snapshot.policy.verdict(address, port: port).isAllowed
        else { return connection.close() }
        let pool: ConnectionPool
        if let known = pools[upstream] {
            pool = known
        } else {
            pool = ConnectionPool(on: reactor)
            pools[upstream] = pool
        }
        pool.park(
            connection, generation: snapshot.generation(of: upstream.scheme),
            limits: ConnectionPool.Limits(
                maxParked: snapshot.configuration.upstream.maxIdlePerRoute, idleTimeout: snapshot.poolIdleTimeout),
            keepAliveTimeout: keepAliveTimeout.map { Duration.seconds($0).nanoseconds })
    }

    /// Closes every parked connection, at the end of the proxy.
    func closeAll() { keep(only: []) }

    /// Closes the connections to all other upstreams.
    func keep(only upstreams: Set<UpstreamAddress>) {
        for (upstream, pool) in pools where !upstreams.contains(upstream) {
            pool.closeAll()
            pools[upstream] = nil
        }
    }
}
