import FoundationEssentials
import TunnelCore
import TunnelProxy

/// Looks at the protected-resource metadata of an MCP server (RFC 9728), with which clients begin their login: whether it is
/// about the public URL, and where it sends them.
struct AuthorizationCheck {
    private let review: ConfigurationReview
    private let route: Route
    /// Of the MCP server.
    private let path: String
    /// The server has asked for authorization.
    private let needsIt: Bool

    private static let id = RouteCheck.Step.authorization.rawValue
    private static let wellKnown = "/.well-known/oauth-protected-resource"
    /// Servers of one metadata that are looked at.
    private static let maxServers = 8

    private struct Metadata: Decodable {
        let resource: String
        let servers: [String]?
        private enum CodingKeys: String, CodingKey { case resource, servers = "authorization_servers" }
    }

    init(_ review: ConfigurationReview, _ route: Route, path: String, needsIt: Bool) {
        (self.review, self.route, self.path, self.needsIt) = (review, route, path, needsIt)
    }

    private var host: String { review.publicHost(of: route) }
    private var publicURL: String { "https://\(host)\(path)" }

    /// - Returns: what was found, and the authorization servers that the metadata names.
    func run(_ carrier: any MCPCarrier, challenge: String?) async -> ([CheckResult], [String]?) {
        var results: [CheckResult] = []
        let named = challenge.flatMap(Self.metadataURL)
        if let named, !isOwn(named) {
            let evidence =
                "WWW-Authenticate names \(Diagnostic.excerpt(named, limit: 200)), and clients came to https://\(host)"
            results.append(.found(.challengeMismatch, in: Self.id, evidence: [evidence]))
        }
        let found: Found
        do { found = try await fetch(carrier, named) } catch {
            let failure = error as? UpstreamFailure
            let evidence = (failure?.evidence ?? []) + ["GET \(Self.wellKnown)"]
            return (results + [.found(failure?.fault ?? .metadataMalformed, in: Self.id, evidence: evidence)], nil)
        }
        let metadata: Metadata
        switch found {
        case .metadata(let document): metadata = document
        // A server without authorization may have a page for every path.
        case .something where !needsIt && results.isEmpty, .nothing where !needsIt && results.isEmpty:
            return ([.skip(Self.id, "the server wants no authorization")], nil)
        case .something(let text):
            return (results + [.found(.metadataMalformed, in: Self.id, evidence: [text])], nil)
        case .nothing:
            // Where the challenge is wrong, that is why.
            let missing = CheckResult.found(.metadataMissing, in: Self.id, evidence: ["nothing at \(Self.wellKnown)"])
            return (results.isEmpty ? [missing] : results, nil)
        }
        results += judge(resource: metadata.resource)
        let servers = Array((metadata.servers ?? []).prefix(Self.maxServers))
        results += servers.compactMap(judge(server:))
        if !results.contains(where: { $0.level == .fail || $0.level == .warn }) {
            results.append(
                .pass(
                    Self.id, "\(Diagnostic.excerpt(metadata.resource, limit: 200)), login at \(list(servers))",
                    evidence: servers.map(place)))
        }
        return (results, servers)
    }

    private enum Found {
        case metadata(Metadata)
        /// A success with something else in it, of which this is the beginning.
        case something(String)
        case nothing
    }

    /// The metadata for the path first, then that for the host (RFC 9728 §3.1); only ever from the route's own upstream.
    private func fetch(_ carrier: any MCPCarrier, _ named: String?) async throws -> Found {
        var paths = [Self.wellKnown + (path == "/" ? "" : path), Self.wellKnown]
        if let named, isOwn(named) { paths.insert(String(named.dropFirst("https://\(host)".count)), at: 0) }
        var found = Found.nothing
        for path in paths where Self.isPath(path) {
            let request = MCPRequest(method: "GET", path: path, fields: [("Accept", "application/json")])
            let response = try await carrier.send(request)
            guard response.status == 200 else { continue }
            if let metadata = try? JSONDecoder().decode(Metadata.self, from: Data(response.body)) {
                return .metadata(metadata)
            }
            found = .something("GET \(path): 200 \(Diagnostic.excerpt(response.type)), without a resource in it")
        }
        return found
    }

    /// What can stand in a request line.
    static func isPath(_ text: String) -> Bool {
        text.hasPrefix("/") && text.utf8.count <= 2048
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x23 }
    }

    private func isOwn(_ url: String) -> Bool { url.hasPrefix("https://\(host)/") }

    /// `resource_metadata="..."` of a challenge (RFC 9728 §5.1).
    static func metadataURL(in challenge: String) -> String? {
        guard let start = challenge.firstRange(of: "resource_metadata=\"")?.upperBound else { return nil }
        return String(challenge[start...].prefix { $0 != "\"" })
    }

    // MARK: Resource

    private func judge(resource: String) -> [CheckResult] {
        let shown = Diagnostic.excerpt(resource, limit: 200)
        let evidence = ["resource is \(shown)", "clients ask \(publicURL)"]
        // It may stand for the whole host, or for the server's path (RFC 9728 §3.3, RFC 8707 §2).
        let fitting = ["https://\(host)", "https://\(host)/", publicURL, publicURL + "/"]
        if fitting.contains(resource) { return [] }
        let isPlain = resource.lowercased().hasPrefix("http://")
        let fault: Fault =
            isPlain && fitting.contains("https://" + resource.dropFirst(7)) ? .resourceHTTP : .resourceMismatch
        return [.found(fault, in: Self.id, evidence: evidence)]
    }

    // MARK: Authorization servers

    private func judge(server: String) -> CheckResult? {
        guard let host = Self.host(of: server) else {
            return .found(
                .metadataMalformed, in: Self.id,
                evidence: ["authorization server \(Diagnostic.excerpt(server, limit: 200))"])
        }
        if review.route(for: host) != nil { return nil }
        if let domain = review.configuration.tunnelDomain, host == domain || host.hasSuffix("." + domain) {
            return .found(.serverUnrouted, in: Self.id, evidence: [place(server)], next: ["add a route for \(host)"])
        }
        let isPrivate =
            !host.contains(".") || host.hasSuffix(".internal") || host.hasSuffix(".local")
            || host.hasSuffix(".svc") || host.hasSuffix("localhost") || IPAddress(host) != nil
        return isPrivate ? .found(.serverPrivate, in: Self.id, evidence: [place(server)]) : nil
    }

    /// Where the way to an authorization server leads.
    private func place(_ server: String) -> String {
        let shown = Diagnostic.excerpt(server, limit: 200)
        guard let host = Self.host(of: server) else { return "\(shown): not a URL" }
        if let route = review.route(for: host) { return "\(shown): the route \(route.key) leads there" }
        return "\(shown): \(host) is outside of the tunnel"
    }

    private func list(_ servers: [String]) -> String {
        servers.isEmpty ? "no server" : servers.map { Diagnostic.excerpt($0, limit: 100) }.joined(separator: ", ")
    }

    /// The host of an http or https URL, in lower case and without port.
    static func host(of url: String) -> String? {
        guard let separator = url.firstRange(of: "://"), ["http", "https"].contains(url[..<separator.lowerBound]) else {
            return nil
        }
        let authority = url[separator.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.contains("@") else { return nil }
        if authority.hasPrefix("[") {
            let literal = authority.dropFirst().prefix { $0 != "]" }
            return IPAddress(literal).map { "\($0)" }
        }
        let host = authority.prefix { $0 != ":" }
        let name = host.hasSuffix(".") ? host.dropLast() : host
        return AddressSyntax.isHostName(name) || IPAddress(name) != nil ? name.lowercased() : nil
    }
}
