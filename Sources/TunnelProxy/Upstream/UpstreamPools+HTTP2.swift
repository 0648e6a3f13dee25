internal import TunnelCore
internal import TunnelIO

/// What a request asks of the connection that it goes out on.
struct UpstreamNeeds: OptionSet {
    let rawValue: UInt8
    static let webSocket = UpstreamNeeds(rawValue: 1)
    /// It logs in as with NTLM, which holds for a connection: that is not to be one that others use too. HTTP/2 has no such
    /// thing, and servers that do it ask for HTTP/1.1 there.
    static let ownConnection = UpstreamNeeds(rawValue: 2)
}

/// Connections that may speak HTTP/2: to `https` upstreams that choose it by ALPN, and to `h2c` ones, which are known to.
extension UpstreamPools {
    private enum Found {
        case client(any ClientStream)
        /// The request is to go by HTTP/1.1, on a connection that offers nothing else.
        case http1
        /// Others open connections already.
        case wait
        case dial
        /// What was opened takes requests, and has no place for this one.
        case again
    }

    /// An upstream's side for one request.
    ///
    /// - Returns: `nil` where the request is to go by HTTP/1.1, on a connection that offers nothing else.
    @inline(never)
    func sharedClient(
        for route: Int, _ snapshot: ProxySnapshot, owner: UInt64, fresh: Bool, _ needs: UpstreamNeeds,
        cancellation: Cancellation
    ) async throws(LeaseError) -> (any ClientStream)? {
        guard speaksHTTP2(route, snapshot, needs) else { return nil }
        if !fresh, let client = boundClient(for: route, snapshot, owner: owner) { return client }
        let group = group(of: route, snapshot)
        // One time for all of its waits.
        let due = worker.reactor.now &+ snapshot.routes[route].connectTimeout
        var found = look(in: group, for: route, snapshot, owner: owner, fresh: fresh, needs)
        while true {
            switch found {
            case .client(let client): return client
            case .http1: return nil
            case .wait:
                let now = worker.reactor.now
                if let error = await group.wait(
                    on: worker.reactor, within: due > now ? due - now : 0, cancellation)
                {
                    throw error
                }
                if cancellation.isCancelled {
                    // The place that it may have been woken for is the next one's.
                    group.wakeOne()
                    throw .dial(DialError(address: nil, error: IOError(.closed, "dial")))
                }
                found = look(in: group, for: route, snapshot, owner: owner, fresh: fresh, needs)
            case .dial:
                group.dialBegins()
                let dialing = beginDial(route, snapshot, cancellation, group: group)
                await dialing.ended()
                found = try ended(dialing, group, for: route, snapshot, owner: owner, needs, cancellation)
            case .again: found = look(in: group, for: route, snapshot, owner: owner, fresh: fresh, needs)
            }
        }
    }

    // Not inlined, as in UpstreamPools.swift.

    @inline(never)
    private func speaksHTTP2(_ route: Int, _ snapshot: ProxySnapshot, _ needs: UpstreamNeeds) -> Bool {
        switch snapshot.routes[route].key.address.scheme {
        case .http: false
        case .https: snapshot.configuration.upstream.http2 == .auto && !needs.contains(.ownConnection)
        case .h2c: true
        }
    }

    @inline(never)
    private func boundClient(for route: Int, _ snapshot: ProxySnapshot, owner: UInt64) -> HTTP1Client? {
        checkOutBound(route, snapshot, owner: owner).map { attach($0, to: route, snapshot, owner: owner) }
    }

    @inline(never)
    private func group(of route: Int, _ snapshot: ProxySnapshot) -> HTTP2Group {
        group(of: snapshot.routes[route].key)
    }

    /// What there is for a request now.
    @inline(never)
    private func look(
        in group: HTTP2Group, for route: Int, _ snapshot: ProxySnapshot, owner: UInt64, fresh: Bool,
        _ needs: UpstreamNeeds
    ) -> Found {
        let generation = snapshot.generation(of: snapshot.routes[route].key.address.scheme)
        if group.requiresHTTP1(in: generation) { return .http1 }
        if let shared = group.take(generation: generation, fresh: fresh, now: worker.reactor.now) {
            if needs.contains(.webSocket), !shared.allowsWebSocket {
                group.wakeOne()
                return .http1
            }
            worker.metrics.count(.poolHit)
            return .client(attach(shared, snapshot, of: group))
        }
        if group.speaksHTTP1 {
            if !fresh, let parked = checkOutParked(route, snapshot) {
                return .client(attach(parked, to: route, snapshot, owner: owner))
            }
        } else if !group.wantsAnother {
            return .wait
        }
        return .dial
    }

    /// What came of opening a connection, for the one that did it and for those that wait.
    @inline(never)
    private func ended(
        _ dialing: Dialing, _ group: HTTP2Group, for route: Int, _ snapshot: ProxySnapshot, owner: UInt64,
        _ needs: UpstreamNeeds, _ cancellation: Cancellation
    ) throws(LeaseError) -> Found {
        let opened: Opened
        do throws(LeaseError) { opened = try dialing.opened() } catch {
            // Who gave up says nothing about the upstream.
            group.dialEnded(cancellation.isCancelled ? nil : error)
            throw error
        }
        switch opened {
        case .own(let connection):
            group.speaksHTTP1 = true
            group.dialEnded(nil)
            return .client(attach(connection, to: route, snapshot, owner: owner))
        case .shared(let shared):
            if shared.takesRequests { group.add(shared) }
            group.dialEnded(nil)
            guard shared.hasPlace() else {
                if shared.takesRequests { return .again }
                throw .http2(shared.connection.address, IOError(.closed, "http2", detail: "ended at once"))
            }
            if needs.contains(.webSocket), !shared.allowsWebSocket {
                if group.isLeftOut { shared.retire() }
                return .http1
            }
            return .client(attach(shared, snapshot, of: group))
        }
    }

    /// Begins HTTP/2 on a connection whose server speaks it.
    ///
    /// - Returns: `nil` where it does not.
    func share(
        _ connection: ClientConnection, _ upstream: UpstreamKey, _ snapshot: ProxySnapshot, _ timeout: UInt64,
        _ group: HTTP2Group, _ cancellation: Cancellation
    ) async throws(LeaseError) -> HTTP2Upstream? {
        guard upstream.address.scheme == .h2c || connection.applicationProtocol == ApplicationProtocol.http2.rawValue
        else {
            return nil
        }
        let shared = HTTP2Upstream(
            connection, snapshot, generation: snapshot.generation(of: upstream.address.scheme), in: group, on: worker)
        do throws(IOError) { try await shared.start(within: timeout, cancellation) } catch {
            throw .http2(connection.address, error)
        }
        return shared
    }

    private func attach(_ shared: HTTP2Upstream, _ snapshot: ProxySnapshot, of group: HTTP2Group) -> HTTP2Client {
        let client = takeHTTP2Client()
        client.attach(shared, snapshot, from: self)
        if group.isLeftOut { shared.endWhenIdle() }
        return client
    }
}
