internal import TunnelCore
internal import TunnelIO

/// The connections of one worker to its upstreams: opened where the policy allows, parked for the next request.
final class UpstreamPools {
    let worker: Worker
    private let reactor: Reactor
    private var pools: [UpstreamKey: ConnectionPool] = [:]
    private var bound: BoundConnections
    /// Where the request before went: the route, and the generation of its snapshot.
    private var last: (route: Int, generation: UInt64, pool: ConnectionPool)?
    /// The upstreams that a reload has left; `nil` before the first.
    private var configured: Set<UpstreamKey>?
    /// Shells without a connection.
    private var spareClients: [HTTP1Client] = []
    private var spareHTTP2Clients: [HTTP2Client] = []
    /// Of upstreams that may speak HTTP/2.
    private var groups: [UpstreamKey: HTTP2Group] = [:]
    private static let maxSpareClients = 256

    init(on worker: Worker) {
        self.worker = worker
        reactor = worker.reactor
        bound = BoundConnections(on: worker.reactor)
        worker.parkedConnections = { [weak self] in self?.parkedCount ?? 0 }
    }

    // MARK: Streams

    /// An upstream's side for one request, to be ended by ``ClientStream/finish(keeps:)``.
    ///
    /// - Parameters:
    ///   - route: its index in the snapshot.
    ///   - owner: the number of the client's connection, for which connections that carry its login are kept; 0 for one
    ///     that carries none.
    ///   - fresh: on a connection that was not used before.
    ///   - needs: for an upstream whose scheme is not `http`.
    ///   - cancellation: gives up waiting.
    func client(
        for route: Int, _ snapshot: ProxySnapshot, owner: UInt64, fresh: Bool, needs: UpstreamNeeds = [],
        cancellation: Cancellation
    ) async throws(LeaseError) -> any ClientStream {
        if snapshot.routes[route].key.address.scheme != .http,
            let client = try await sharedClient(
                for: route, snapshot, owner: owner, fresh: fresh, needs, cancellation: cancellation)
        {
            return client
        }
        if !fresh, let parked = checkOut(route, snapshot, owner: owner) {
            return attach(parked, to: route, snapshot, owner: owner)
        }
        let dialing = beginDial(route, snapshot, cancellation, group: nil)
        await dialing.ended()
        return try attach(dialing, to: route, snapshot, owner: owner)
    }

    // None of these is inlined: what they need would stay in the frame of a task that waits for a connection, and its memory
    // for as long as the request takes.

    /// A connection that waits for a request.
    @inline(never)
    func checkOut(_ route: Int, _ snapshot: ProxySnapshot, owner: UInt64) -> ClientConnection? {
        checkOutBound(route, snapshot, owner: owner) ?? checkOutParked(route, snapshot)
    }

    /// Opens a connection, in a task of its own: what that task keeps for the depth of its calls goes with it. In the one that
    /// waits it would stay, for as long as the request takes, and that may be hours.
    ///
    /// - Parameter group: of those that HTTP/2 is offered to; `nil` for HTTP/1.1 alone.
    @inline(never)
    func beginDial(
        _ route: Int, _ snapshot: ProxySnapshot, _ cancellation: Cancellation, group: HTTP2Group?
    ) -> Dialing {
        let dialing = Dialing(
            self, snapshot.routes[route].key, snapshot, snapshot.routes[route].connectTimeout, cancellation, group)
        reactor.spawn(with: dialing) { await $0.run() }
        return dialing
    }

    @inline(never)
    private func attach(
        _ dialing: Dialing, to route: Int, _ snapshot: ProxySnapshot, owner: UInt64
    ) throws(LeaseError) -> HTTP1Client {
        attach(try dialing.connection(), to: route, snapshot, owner: owner)
    }

    @inline(never)
    func attach(
        _ connection: ClientConnection, to route: Int, _ snapshot: ProxySnapshot, owner: UInt64
    ) -> HTTP1Client {
        let client = spareClients.popLast() ?? HTTP1Client(on: worker)
        client.attach(connection, to: route, snapshot, owner: owner, from: self)
        worker.metrics.count(.activeConnection)
        return client
    }

    /// Takes a shell that has let go of its connection.
    func take(_ client: HTTP1Client) {
        worker.metrics.discount(.activeConnection)
        if spareClients.count < UpstreamPools.maxSpareClients { spareClients.append(client) }
    }

    func take(_ client: HTTP2Client) {
        if spareHTTP2Clients.count < UpstreamPools.maxSpareClients { spareHTTP2Clients.append(client) }
    }

    func takeHTTP2Client() -> HTTP2Client { spareHTTP2Clients.popLast() ?? HTTP2Client(on: worker) }

    func group(of upstream: UpstreamKey) -> HTTP2Group {
        if let group = groups[upstream] { return group }
        let group = HTTP2Group()
        // A stream that began under an older configuration.
        if let configured { group.isLeftOut = !configured.contains(upstream) }
        groups[upstream] = group
        return group
    }

    /// The pool of a route's upstream. Most requests of a worker go where the one before went.
    private func pool(of route: Int, _ snapshot: ProxySnapshot) -> ConnectionPool {
        if let last, last.route == route, last.generation == snapshot.generation { return last.pool }
        let upstream = snapshot.routes[route].key
        let pool = pools[upstream] ?? ConnectionPool(on: reactor)
        pools[upstream] = pool
        last = (route, snapshot.generation, pool)
        return pool
    }

    // MARK: Connections

    /// One that carries the login of a client's connection.
    @inline(__always)
    func checkOutBound(_ route: Int, _ snapshot: ProxySnapshot, owner: UInt64) -> ClientConnection? {
        bound.isEmpty ? nil : checkOutOwn(route, snapshot, owner: owner)
    }

    @inline(never)
    private func checkOutOwn(_ route: Int, _ snapshot: ProxySnapshot, owner: UInt64) -> ClientConnection? {
        let upstream = snapshot.routes[route].key
        let generation = snapshot.generation(of: upstream.address.scheme)
        guard let parked = bound.pool(of: upstream, for: owner)?.checkOut(generation: generation) else { return nil }
        worker.metrics.count(.poolHit)
        return parked
    }

    @inline(__always)
    func checkOutParked(_ route: Int, _ snapshot: ProxySnapshot) -> ClientConnection? {
        let generation = snapshot.generation(of: snapshot.routes[route].key.address.scheme)
        guard let parked = pool(of: route, snapshot).checkOut(generation: generation) else { return nil }
        worker.metrics.count(.poolHit)
        return parked
    }

    /// A connection that was opened, for one request at a time or for many.
    enum Opened {
        case own(ClientConnection)
        case shared(HTTP2Upstream)
    }

    /// A connection that is being opened, for the task that does it and the one that waits.
    final class Dialing {
        private let pools: UpstreamPools
        private let upstream: UpstreamKey
        private let snapshot: ProxySnapshot
        private let timeout: UInt64
        private let cancellation: Cancellation
        private let group: HTTP2Group?
        private var result: Result<Opened, LeaseError>?
        private var waiter: UnsafeContinuation<Void, Never>?

        private static var nothing: LeaseError { .dial(DialError(address: nil, error: IOError(.closed, "dial"))) }

        /// - Parameter group: of those that HTTP/2 is offered to; `nil` for HTTP/1.1 alone.
        init(
            _ pools: UpstreamPools, _ upstream: UpstreamKey, _ snapshot: ProxySnapshot, _ timeout: UInt64,
            _ cancellation: Cancellation, _ group: HTTP2Group?
        ) {
            (self.pools, self.upstream, self.snapshot) = (pools, upstream, snapshot)
            (self.timeout, self.cancellation, self.group) = (timeout, cancellation, group)
        }

        /// Waits for the result.
        // Inlined: a frame more is memory that the task keeps.
        @inline(__always)
        func ended() async {
            await withUnsafeContinuation { if result == nil { waiter = $0 } else { $0.resume() } }
        }

        /// What was opened.
        func opened() throws(LeaseError) -> Opened {
            guard let result else { throw Dialing.nothing }
            return try result.get()
        }

        /// One for a request at a time.
        func connection() throws(LeaseError) -> ClientConnection {
            switch try opened() {
            case .own(let connection): return connection
            case .shared: throw Dialing.nothing
            }
        }

        fileprivate func run() async {
            let metrics = pools.worker.metrics
            do throws(LeaseError) {
                let connection = try await pools.open(
                    upstream, snapshot, timeout, cancellation, offersHTTP2: group != nil)
                var shared: HTTP2Upstream?
                if let group {
                    shared = try await pools.share(connection, upstream, snapshot, timeout, group, cancellation)
                }
                result = .success(shared.map { .shared($0) } ?? .own(connection))
                metrics.count(.dial(.ok))
            } catch {
                result = .failure(error)
                // Who gave up says nothing about the upstream.
                if !cancellation.isCancelled { metrics.count(.dial(error.dialResult)) }
            }
            waiter?.resume()
        }
    }

    private func open(
        _ upstream: UpstreamKey, _ snapshot: ProxySnapshot, _ timeout: UInt64, _ cancellation: Cancellation,
        offersHTTP2: Bool
    ) async throws(LeaseError) -> ClientConnection {
        if let path = upstream.address.socketPath {
            // Nothing but the configuration can name it, so no policy has a say.
            let (socket, address) = try await connect(to: [.unix(path: path)], timeout, cancellation)
            return ClientConnection(socket, address, on: reactor)
        }
        let isRemembered = reactor.resolver.remembers(upstream.address.host, ttl: snapshot.dnsTTL)
        let addresses = try await allowedAddresses(of: upstream, snapshot, ttl: snapshot.dnsTTL, cancellation)
        let (socket, address): (Socket, SocketAddress)
        do throws(LeaseError) { (socket, address) = try await connect(to: addresses, timeout, cancellation) } catch {
            // A container that was started anew has another address, and the one that is remembered leads nowhere.
            guard isRemembered, !cancellation.isCancelled,
                let newer = try? await allowedAddresses(of: upstream, snapshot, ttl: 0, cancellation),
                Set(newer) != Set(addresses)
            else { throw error }
            (socket, address) = try await connect(to: newer, timeout, cancellation)
        }
        let connection = ClientConnection(socket, address, on: reactor)
        guard upstream.address.scheme == .https else { return connection }
        let egress = snapshot.egresses[upstream.egress]
        do throws(IOError) {
            guard let context = egress.tls else {
                throw IOError(.tls, "handshake", detail: "no trust anchor")
            }
            try await connection.startTLS(
                context, serverName: egress.serverName(for: upstream.address),
                offering: offersHTTP2 ? ApplicationProtocol.allCases.map(\.rawValue) : nil, timeout: timeout,
                cancellation: cancellation)
            if let refusal = egress.refusal(ofCertificate: connection.peerCertificate) {
                throw IOError(.tls, "handshake", detail: refusal)
            }
        } catch {
            connection.close()
            throw .tls(address, error)
        }
        return connection
    }

    private func connect(
        to addresses: [SocketAddress], _ timeout: UInt64, _ cancellation: Cancellation
    ) async throws(LeaseError) -> (Socket, SocketAddress) {
        do throws(DialError) {
            return try await Connector.connect(
                to: addresses, timeout: timeout, cancellation: cancellation, on: reactor)
        } catch {
            throw .dial(error)
        }
    }

    /// Resolves the upstream and checks each address; only literals that passed are dialled.
    ///
    /// - Parameter ttl: how old an answer may be, in nanoseconds.
    private func allowedAddresses(
        of upstream: UpstreamKey, _ snapshot: ProxySnapshot, ttl: UInt64, _ cancellation: Cancellation
    ) async throws(LeaseError) -> [SocketAddress] {
        let found: [IPAddress]
        do throws(IOError) {
            found = try await reactor.resolver.resolve(
                upstream.address.host, timeout: snapshot.dnsTimeout, ttl: ttl, cancellation: cancellation)
        } catch {
            throw .lookup(host: upstream.address.host, error)
        }
        var allowed: [IPAddress] = []
        var refusal: LeaseError?
        for address in found {
            switch snapshot.verdict(address, of: upstream) {
            case .allowed: allowed.append(address)
            case .denied(let reason): refusal = refusal ?? .refused(address, reason)
            }
        }
        if allowed.isEmpty { throw refusal ?? .lookup(host: upstream.address.host, IOError(.nameNotFound, "lookup")) }
        return Connector.alternating(allowed).map { .ip($0, port: upstream.address.port) }
    }

    /// Keeps a connection whose last response is whole.
    ///
    /// - Parameters:
    ///   - route: for which it was checked out, by its index in `snapshot`.
    ///   - owner: as it was checked out for. One that carries a login is kept for the same owner only.
    ///   - keepAliveTimeout: seconds after which the upstream says that it will end it.
    func park(
        _ connection: ClientConnection, _ route: Int, _ snapshot: ProxySnapshot, owner: UInt64,
        keepAliveTimeout: Int? = nil
    ) {
        // A stream that began under an older configuration may come back to an upstream that is gone from it.
        if let configured, !configured.contains(snapshot.routes[route].key) { return connection.close() }
        if connection.isBound, owner == 0 { return connection.close() }
        // Its address was allowed by the policy of this generation when it was dialled, and a pool keeps no other generation.
        let pool =
            connection.isBound
            ? bound.makePool(of: snapshot.routes[route].key, for: owner) : pool(of: route, snapshot)
        pool.park(
            connection, generation: snapshot.generation(of: snapshot.routes[route].key.address.scheme),
            limits: ConnectionPool.Limits(
                maxParked: snapshot.configuration.upstream.maxIdlePerRoute, idleTimeout: snapshot.poolIdleTimeout),
            keepAliveTimeout: keepAliveTimeout.map { Duration.seconds($0).nanoseconds })
    }

    /// Connections that wait for a request.
    private var parkedCount: Int {
        pools.values.reduce(bound.count) { $0 + $1.count } + groups.values.reduce(0) { $0 + $1.idleCount }
    }

    /// Closes the connections that carry logins of a client's connection, at the end of that one.
    func closeBound(of owner: UInt64) { bound.closeAll(of: owner) }

    /// Closes every parked connection, at the end of the proxy.
    func closeAll() {
        bound.closeAll()
        for pool in pools.values { pool.closeAll() }
        for group in groups.values { group.endAll() }
        (pools, last, groups) = ([:], nil, [:])
    }

    /// Closes the connections to all other upstreams.
    func keep(only upstreams: Set<UpstreamKey>) {
        (last, configured) = (nil, upstreams)
        bound.keep(only: upstreams)
        for (upstream, pool) in pools where !upstreams.contains(upstream) {
            pool.closeAll()
            pools[upstream] = nil
        }
        for (upstream, group) in groups {
            group.isLeftOut = !upstreams.contains(upstream)
            guard group.isLeftOut else { continue }
            group.retireAll()
            groups[upstream] = nil
        }
    }
}
