import Synchronization
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelProxy

/// How one URL is routed and why, without asking an upstream anything: `mcp-proxy check -explain URL`.
struct Explanation: Encodable, Sendable {
    let url: String
    private(set) var host: String?
    /// The key in `routes`.
    private(set) var route: String?
    private(set) var upstream: String?
    /// In the order of the way, a line each.
    private(set) var steps: [String] = []
    private(set) var addresses: [RouteReport.Address] = []
    /// The name of what stops it.
    private(set) var fault: String?
    private(set) var next: String?

    var status: ExitStatus { fault == nil ? .done : .failed }
    var json: String { JSONText.of(self) }
    var text: String {
        ([url] + steps.map { "  \($0)" } + (next.map { ["next: \($0)"] } ?? [])).joined(separator: "\n")
    }

    /// - Parameter reviews: of each tunnel.
    static func of(_ url: String, _ reviews: [ConfigurationReview], timeout: Duration) throws -> Explanation {
        var explanation = Explanation(url: Diagnostic.excerpt(url, limit: 2048))
        guard let review = explanation.findTunnel(reviews) else { return explanation }
        guard let route = explanation.findRoute(review) else { return explanation }
        if let path = route.upstream.socketPath {
            explanation.steps.append("\(path) is a socket that the configuration names: dialled")
            return explanation
        }
        explanation.judge(try Self.lookUp(route.upstream.host, timeout), route, review)
        return explanation
    }

    private static func lookUp(_ name: String, _ timeout: Duration) throws -> Result<[IPAddress], UpstreamFailure> {
        let box = Box()
        try Loop.run { loop in
            let time = StepTimes.nanoseconds(timeout)
            do throws(IOError) {
                let found = try await loop.reactor.resolver.resolve(name, timeout: time, ttl: 0)
                box.found.withLock { $0 = .success(found) }
            } catch {
                let failure = UpstreamFailure(lookup: name, error)
                box.found.withLock { $0 = .failure(failure) }
            }
        }
        return box.found.withLock { $0 }
    }

    private final class Box: Sendable {
        let found = Mutex<Result<[IPAddress], UpstreamFailure>>(.success([]))
    }

    // MARK: Route

    private var given: String { url.contains("://") ? url : "https://\(url)" }

    /// The one that the host belongs to, where there are several.
    private mutating func findTunnel(_ reviews: [ConfigurationReview]) -> ConfigurationReview? {
        guard reviews.count > 1, let host = AuthorizationCheck.host(of: given) else { return reviews.first }
        let domains = reviews.compactMap(\.configuration.tunnelDomain)
        guard let index = domains.firstIndex(where: { host == $0 || host.hasSuffix(".\($0)") }) else {
            steps.append("host \(host): it is not below the domain of a tunnel")
            stop(.noRoute, "tunnels: \(domains.prefix(8).joined(separator: ", "))")
            return nil
        }
        steps.append("host \(host): tunnel \(domains[index])")
        return reviews[index]
    }

    private mutating func findRoute(_ review: ConfigurationReview) -> Route? {
        if given.hasPrefix("http://") { steps.append("Claude comes by https only; http:// is read as https://") }
        guard let host = AuthorizationCheck.host(of: given) else {
            stop(.noRoute, "this is no URL with a host name")
            return nil
        }
        self.host = host
        let domain = review.configuration.tunnelDomain
        let label = domain.flatMap { host.hasSuffix(".\($0)") ? String(host.dropLast($0.count + 1)) : nil }
        guard let route = review.route(for: host) else {
            steps.append("host \(host): no route has this name" + (label.map { ", and none is called \($0)" } ?? ""))
            let keys = review.configuration.routes.map(\.key)
            let near = nearestName(to: label ?? host, among: keys)
            if let domain, host != domain, label == nil {
                steps.append("it is not below the tunnel's domain, \(domain)")
            }
            stop(
                .noRoute,
                near.map { "did you mean the route \($0)?" } ?? "routes: \(keys.prefix(8).joined(separator: ", "))")
            return nil
        }
        let why =
            route.key == host
            ? "the route of this very name"
            : "\(label ?? host) is what stands before the tunnel's domain, \(domain ?? "")"
        steps.append("host \(host): route \(route.key), \(why)")
        (self.route, upstream) = (route.key, "\(route.upstream)")
        let path = given.dropFirst(
            given.firstRange(of: "://").map { given.distance(from: given.startIndex, to: $0.upperBound) } ?? 0
        )
        .drop { $0 != "/" }
        steps.append(
            "upstream \(route.upstream): gets \(path.isEmpty ? "/" : String(path)) as it is, without a prefix added or taken"
        )
        let entries = review.options(of: route).paths.compactMap { RoutePath($0) }
        var plain = String(path.prefix { $0 != "?" && $0 != "#" })
        if !entries.isEmpty, !path.isEmpty, !plain.withUTF8({ text in entries.contains { $0.matches(text.span) } }) {
            steps.append("the route's paths do not hold \(plain): the client gets 404")
        }
        steps.append(
            "the upstream sees Host: \(review.hostField(of: route)), by upstream.host_header: \(review.configuration.upstream.hostHeader.rawValue)"
        )
        for field in review.forwardedFields(of: route) { steps.append("    and \(field.name): \(field.value)") }
        return route
    }

    // MARK: Addresses

    private mutating func judge(
        _ found: Result<[IPAddress], UpstreamFailure>, _ route: Route, _ review: ConfigurationReview
    ) {
        switch found {
        case .failure(let failure):
            steps += failure.evidence
            stop(failure.fault, nil)
        case .success(let list):
            for address in list {
                let verdict = review.verdict(address, of: route)
                addresses.append(
                    RouteReport.Address(address: "\(address)", allowed: verdict.isAllowed, verdict: verdict.name))
                steps.append("address \(address): \(verdict.isAllowed ? "dialled" : "never dialled"), \(verdict.name)")
            }
            if !addresses.contains(where: \.allowed) { stop(.addressRefused, nil) }
        }
    }

    private mutating func stop(_ fault: Fault, _ next: String?) {
        steps.append("\(fault.title) [\(fault.id)]")
        self.fault = fault.id
        self.next = next ?? fault.remedy
    }

    private init(url: String) { self.url = url }
}
