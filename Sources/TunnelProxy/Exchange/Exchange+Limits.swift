internal import TunnelCore
internal import TunnelIO

/// What a route, or all of them together, ask of a request before it goes on: lists, a rate, a place.
///
/// A request to a route that asks for nothing looks at two `nil`s here, and that is all.
extension Exchange {
    /// Places that an exchange has.
    struct Places: OptionSet {
        let rawValue: UInt8
        /// Among the requests of its route.
        static let ofRoute = Places(rawValue: 1)
        /// Among all.
        static let ofAll = Places(rawValue: 2)
    }

    /// For a host that the tunnel has no route for. One that is another tunnel's was sent the wrong way: a client may have one
    /// connection for both, because their certificates allow it (RFC 9113 §9.1.1), and opens another one for 421.
    @inline(never)
    func refusalWithoutRoute(_ server: any ServerStream) -> Admission {
        var isMisdirected = false
        server.withHead { head, bytes in
            isMisdirected = snapshot.isMisdirected(bytes.extracting(head.authority), of: tunnel)
        }
        guard isMisdirected else {
            warn("no route for host") { line in labels.writeHost(to: &line) }
            return .refused(502, "No route configured for host", .refused, fields: [])
        }
        warn("host of another tunnel") { line in labels.writeHost(to: &line) }
        record.fail(.misdirected)
        return .refused(421, "This connection is for another tunnel", .refused, fields: [])
    }

    /// By the route's lists of methods and paths; and adds its lines to a request that passes.
    @inline(__always)
    func refusalByLists(_ route: Int, _ server: any ServerStream) -> Admission? {
        guard let rules = snapshot.routes[route].rules else { return nil }
        return refusal(rules, server)
    }

    @inline(never)
    private func refusal(_ rules: RouteRules, _ server: any ServerStream) -> Admission? {
        var refusal: RouteRules.Refusal?
        server.withHead { head, bytes in refusal = rules.refusal(head, bytes) }
        switch refusal {
        case .method:
            record.fail(.methodRefused)
            return .refused(403, "The method is not allowed on this route", .refused, fields: [])
        case .path:
            record.fail(.pathRefused)
            return .refused(404, "No such path on this route", .refused, fields: [])
        case nil: break
        }
        if !rules.lines.isEmpty {
            rules.lines.withUnsafeBytes { upstreamLines.lines.append($0) }
            upstreamLines.otherNames = rules.names
        }
        return nil
    }

    /// By the rate of all requests and of the route's. The route is asked first: what it refuses is no request to all.
    @inline(__always)
    func refusalByRate(_ route: Int) -> Admission? {
        guard snapshot.rate != nil || snapshot.routes[route].rules?.rate != nil else { return nil }
        return refusal(byRateOf: route)
    }

    @inline(never)
    private func refusal(byRateOf route: Int) -> Admission? {
        let now = worker.reactor.now
        if let wait = snapshot.routes[route].rules?.rate?.take(now: now) { return tooMany(.routeRate, wait) }
        if let wait = snapshot.rate?.take(now: now) { return tooMany(.rate, wait) }
        return nil
    }

    private func tooMany(_ limit: LimitHit, _ wait: UInt64) -> Admission {
        worker.metrics.count(.limit(limit))
        // RFC 9110 §10.2.3: whole seconds, and never too few.
        let seconds = wait / 1_000_000_000 + (wait % 1_000_000_000 > 0 ? 1 : 0)
        return .refused(
            429, "Too many requests", .limit, fields: [(name: "Retry-After", value: "\(max(1, seconds))")])
    }

    // MARK: Places

    /// Takes the places that the request needs, if they are free.
    @inline(__always)
    func takePlaces(_ route: Int) -> Bool {
        guard snapshot.places != nil || snapshot.routes[route].rules?.places != nil else { return true }
        return takeBoth(route)
    }

    /// The route's first: who waits for a place among all then holds up its own route only.
    @inline(never)
    private func takeBoth(_ route: Int) -> Bool {
        if !places.contains(.ofRoute), let limit = snapshot.routes[route].rules?.places {
            guard limit.turnstile.enter(limit: limit.limit) else { return false }
            places.insert(.ofRoute)
        }
        if let limit = snapshot.places {
            guard limit.turnstile.enter(limit: limit.limit) else { return false }
            places.insert(.ofAll)
        }
        return true
    }

    /// Waits for the places that it has not got.
    ///
    /// - Returns: `nil` when it has them.
    @inline(never)
    func waitForPlaces(_ route: Int) async -> ResponseEnd? {
        if !places.contains(.ofRoute), let limit = snapshot.routes[route].rules?.places {
            guard await limit.turnstile.wait(limit, on: worker.reactor, dial) else {
                return await crowded(.routeMaxRequests)
            }
            places.insert(.ofRoute)
        }
        if !places.contains(.ofAll), let limit = snapshot.places {
            let isIn =
                limit.turnstile.enter(limit: limit.limit)
                ? true : await limit.turnstile.wait(limit, on: worker.reactor, dial)
            guard isIn else { return await crowded(.maxRequests) }
            places.insert(.ofAll)
        }
        return nil
    }

    private func crowded(_ limit: LimitHit) async -> ResponseEnd {
        if let end = cutShort() { return end }
        worker.metrics.count(.limit(limit))
        return await respond(
            503, "Too many requests in flight", .limit, fields: [(name: "Retry-After", value: "1")])
    }

    /// Gives back what it has.
    @inline(never)
    func leavePlaces() {
        if places.contains(.ofRoute), route >= 0, let limit = snapshot.routes[Int(route)].rules?.places {
            limit.turnstile.leave(limit: limit.limit)
        }
        if places.contains(.ofAll), let limit = snapshot.places { limit.turnstile.leave(limit: limit.limit) }
        places = []
    }
}
