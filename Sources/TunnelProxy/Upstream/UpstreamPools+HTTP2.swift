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
    /// An upstream's side for one request.
    ///
    /// - Returns: `nil` where the request is to go by HTTP/1.1, on a connection that offers nothing else.
    func sharedClient(
        for upstream: UpstreamKey, _ snapshot: ProxySnapshot, owner: UInt64, fresh: Bool, _ needs: UpstreamNeeds,
        within timeout: UInt64, cancellation: Cancellation
    ) async throws(LeaseError) -> (any ClientStream)? {
        guard speaksHTTP2(upstream, snapshot, needs) else { return nil }
        let generation = snapshot.generation(of: upstream.address.scheme)
        if !fresh, let parked = checkOutBound(upstream, owner: owner, generation) {
            return attach(parked, of: upstream, snapshot, owner: owner)
        }
        let group = group(of: upstream)
        // One time for all of its waits.
        let due = worker.reactor.now &+ timeout
        while true {
            if group.requiresHTTP1(in: generation) { return nil }
            if let shared = group.take(generation: generation, fresh: fresh, now: worker.reactor.now) {
                if needs.contains(.webSocket), !shared.allowsWebSocket {
                    group.wakeOne()
                    return nil
                }
                worker.metrics.count(.poolHit)
                return attach(shared, snapshot)
            }
            if group.speaksHTTP1 {
                if !fresh, let parked = checkOutParked(upstream, generation) {
                    return attach(parked, of: upstream, snapshot, owner: owner)
                }
            } else if !group.wantsAnother {
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
                continue
            }
            switch try await dial(upstream, snapshot, timeout, group, cancellation) {
            case .own(let connection): return attach(connection, of: upstream, snapshot, owner: owner)
            case .shared(let shared) where shared.hasPlace():
                if needs.contains(.webSocket), !shared.allowsWebSocket { return nil }
                return attach(shared, snapshot)
            case .shared(let shared):
                if !shared.takesRequests {
                    throw .http2(shared.connection.address, IOError(.closed, "http2", detail: "ended at once"))
                }
            }
        }
    }

    private func speaksHTTP2(_ upstream: UpstreamKey, _ snapshot: ProxySnapshot, _ needs: UpstreamNeeds) -> Bool {
        switch upstream.address.scheme {
        case .http: false
        case .https: snapshot.configuration.upstream.http2 == .auto && !needs.contains(.ownConnection)
        case .h2c: true
        }
    }

    private func dial(
        _ upstream: UpstreamKey, _ snapshot: ProxySnapshot, _ timeout: UInt64, _ group: HTTP2Group,
        _ cancellation: Cancellation
    ) async throws(LeaseError) -> Opened {
        group.dialBegins()
        do throws(LeaseError) {
            let opened = try await dial(upstream, snapshot, timeout, cancellation, group: group)
            switch opened {
            case .own: group.speaksHTTP1 = true
            case .shared(let shared): if shared.takesRequests { group.add(shared) }
            }
            group.dialEnded(nil)
            return opened
        } catch {
            // Who gave up says nothing about the upstream.
            group.dialEnded(cancellation.isCancelled ? nil : error)
            throw error
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

    private func attach(_ shared: HTTP2Upstream, _ snapshot: ProxySnapshot) -> HTTP2Client {
        let client = takeHTTP2Client()
        client.attach(shared, snapshot, from: self)
        return client
    }
}
