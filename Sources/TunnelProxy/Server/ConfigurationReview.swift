package import TunnelCore
internal import TunnelIO
package import TunnelPKI
package import TunnelTLS

/// A configuration as the proxy would have it in force, with nothing opened: what `mcp-proxy check` asks.
///
/// What it says of routes and a certificate is of one tunnel; of several each has a review of its own
/// (`ProxyConfiguration.perTunnel`), and the whole has one for the findings.
///
/// One exists so that the check judges by the very rules that the proxy goes by: its routes, its policy, its CAs.
package struct ConfigurationReview: Sendable {
    private let snapshot: ProxySnapshot
    package var configuration: ProxyConfiguration { snapshot.configuration }
    /// What `https` upstreams may choose from by ALPN; `nil` for HTTP/1.1 alone.
    package var offeredProtocols: [String]? {
        configuration.upstream.http2 == .auto ? ApplicationProtocol.allCases.map(\.rawValue) : nil
    }

    /// - Throws: ``ConfigurationError`` for a CA file that cannot be used.
    package init(_ configuration: ProxyConfiguration) throws {
        snapshot = try ProxySnapshot(configuration, listeners: configuration.policyListeners)
    }

    /// What an operator should know of the settings; the certificate has findings of its own.
    package var findings: [StartupFinding] { snapshot.findings }

    /// What the proxy says of an address that the name of a route's upstream has.
    package func verdict(_ address: IPAddress, of route: Route) -> UpstreamPolicy.Verdict {
        key(of: route).map { snapshot.verdict(address, of: $0) }
            ?? snapshot.policy.verdict(
                address, port: route.upstream.port)
    }

    private func key(of route: Route) -> UpstreamKey? { snapshot.routes.first { $0.name == route.key }?.key }

    /// How TLS to a route's upstream is spoken; `nil` for a route without it.
    package func tls(of route: Route) -> (context: TLSClientContext, name: String)? {
        guard route.upstream.scheme == .https, let key = key(of: route) else { return nil }
        let egress = snapshot.egresses[key.egress]
        return egress.tls.map { ($0, egress.serverName(for: route.upstream)) }
    }

    /// Why a server that has shown this certificate is not the one that the route's pins mean; `nil` when it is.
    package func pinRefusal(_ certificate: [UInt8]?, of route: Route) -> String? {
        key(of: route).flatMap { snapshot.egresses[$0.egress].refusal(ofCertificate: certificate) }
    }

    /// The fields that the route's upstream gets from files, secrets among them, as lines of a head.
    package func setLines(of route: Route) -> [UInt8] {
        snapshot.routes.first { $0.name == route.key }?.rules?.lines ?? []
    }

    package func options(of route: Route) -> RouteOptions { configuration.routeOptions[route.key] ?? RouteOptions() }

    // MARK: Routes

    /// The route for a host name as it stands in a request to the only tunnel.
    package func route(for host: String) -> Route? {
        var host = host
        let tunnel = snapshot.tunnels[0]
        let index = host.withUTF8 { snapshot.route(for: $0.span, of: tunnel.number) }
        return index.map { tunnel.configuration.routes[$0] }
    }

    /// The host name at which Claude reaches a route; for a route that it cannot reach, the key.
    package func publicHost(of route: Route) -> String { configuration.publicHost(of: route) ?? route.key }

    /// The Host that the route's upstream gets.
    package func hostField(of route: Route) -> String {
        switch options(of: route).hostHeader ?? configuration.upstream.hostHeader {
        case .preserve: publicHost(of: route)
        case .upstream: route.upstream.authority
        }
    }

    /// What the route's upstream is told of the way that a request came, beside Host.
    package func forwardedFields(of route: Route) -> [(name: String, value: String)] {
        guard configuration.upstream.forwardedHeaders != .off else { return [] }
        return [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", publicHost(of: route))]
    }

    // MARK: Certificate

    /// What is to be said of the certificate and of its key.
    package struct Identity: Sendable {
        package var findings: [Finding] = []
        /// Why the files cannot be used, or not read.
        package var failure: (fault: Fault, reason: String)?
        package var leaf: Certificate?
        fileprivate let files: IdentityFiles

        fileprivate init(_ files: IdentityFiles) { self.files = files }

        /// The fields and files that a finding is about; of the CA there is none.
        package func place(of finding: Finding) -> String? {
            guard finding.document == .server || finding.document == .key else { return nil }
            return finding.rule == .keyMatches ? files.places : files.place(of: finding.document)
        }
    }

    /// Reads certificate and key as the proxy would, and judges them by the rules of `setup verify`.
    ///
    /// - Parameters:
    ///   - ca: the CA's file, where the certificate is to be held against it.
    ///   - now: seconds since 1970.
    package static func identity(of configuration: ProxyConfiguration, ca: [UInt8]?, now: Int64) -> Identity {
        let files = IdentityFiles(of: configuration)
        var review = Identity(files)
        var contents: IdentityFiles.Contents
        do throws(IdentityFiles.FileFailure) { contents = try files.read() } catch {
            review.failure = (.certificateUnreadable, "\(configuration.field(error.field)): \(error)")
            return review
        }
        defer { contents.wipe() }
        review.leaf = (try? Certificate.all(pem: contents.certificate))?.first
        review.findings = CertificateCheck(configuration)
            .review(certificate: contents.certificate, key: contents.key, ca: ca, now: now)
        do throws(ProxyError) { _ = try files.identity(of: contents) } catch {
            // What the rules have found says it better.
            if !review.findings.hasErrors { review.failure = (.certificateUnusable, "\(error)") }
        }
        return review
    }
}
