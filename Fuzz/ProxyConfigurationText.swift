import TunnelCore
import TunnelProxy

/// Reads the input as the proxy's configuration file.
///
/// A configuration that is accepted can be served with: its routes make a table that finds each of them, its ranges
/// make a policy, the same values from code are accepted, and a reload with it changes nothing. What is refused is told
/// in lines that name the file and are fit for a log.
func checkProxyConfigurationText(_ bytes: [UInt8]) {
    let configuration: ProxyConfiguration
    do throws(ConfigurationError) { configuration = try ProxyConfiguration.parse(bytes, file: "config.yaml") } catch {
        precondition(!error.diagnostics.isEmpty, "refused for nothing")
        for diagnostic in error.diagnostics {
            let text = "\(diagnostic)"
            precondition(text.hasPrefix("config.yaml:"), "no file")
            precondition(!diagnostic.problem.isEmpty && text.utf8.count <= 4_096, "too short or too long an error")
            precondition(text.unicodeScalars.allSatisfy { isShown($0) }, "a control character in an error")
        }
        return
    }
    for tunnel in configuration.perTunnel { checkRoutes(tunnel) }
    _ = UpstreamPolicy(
        allowed: configuration.upstream.allowedIPs, validationDisabled: configuration.upstream.disableIPValidation)
    let durations = [
        configuration.shutdownTimeout, configuration.tls.reloadInterval, configuration.tls.handshakeTimeout,
        configuration.upstream.connectTimeout, configuration.upstream.responseHeaderTimeout,
        configuration.upstream.dnsTimeout, configuration.upstream.dnsTTL, configuration.upstream.idleTimeout,
        configuration.webSocket.pingInterval, configuration.webSocket.idleTimeout, configuration.limits.headerTimeout,
        configuration.limits.keepAliveTimeout, configuration.limits.bodyTimeout, configuration.limits.sendTimeout,
    ]
    // A timer adds these to the time without a second thought.
    precondition(durations.allSatisfy { $0 >= .zero && $0 <= .seconds(8760 * 3600) }, "a time beyond all bounds")
    let sizes = [
        configuration.limits.maxHeaderBytes, configuration.limits.maxHeaders, configuration.limits.bufferSize,
        configuration.limits.maxRequests, configuration.limits.maxConnections,
        configuration.limits.maxRequestsPerConnection, configuration.webSocket.maxFrameSize,
    ]
    precondition(sizes.allSatisfy { $0 >= 0 && $0 <= 1 << 40 }, "a size beyond all bounds")

    let reloaded = configuration.reloading(configuration)
    precondition(reloaded.configuration == configuration && reloaded.kept.isEmpty, "a reload that changes something")
    let again = try? ProxyConfiguration(
        listenAddress: configuration.listenAddress, tls: configuration.tls, routes: configuration.routes,
        tunnelDomain: configuration.tunnelDomain, logLevel: configuration.logLevel, logFormat: configuration.logFormat,
        shutdownTimeout: configuration.shutdownTimeout, threads: configuration.threads,
        upstream: configuration.upstream, webSocket: configuration.webSocket, limits: configuration.limits,
        tunnels: configuration.tunnels)
    precondition(again == configuration, "what a file may say, code may not")
}

private func checkRoutes(_ configuration: ProxyConfiguration) {
    precondition(!configuration.routes.isEmpty, "no routes")
    let routes = configuration.routes.enumerated().map { (host: $1.key, value: $0) }
    guard let table = try? RouteTable(routes: routes, tunnelDomain: configuration.tunnelDomain) else {
        preconditionFailure("routes that make no table")
    }
    let canVerify = configuration.upstream.tls.caFile != nil || configuration.upstream.tls.includeSystemCAs
    for (index, route) in configuration.routes.enumerated() {
        precondition(table.lookup(route.key) == index, "a route that is not found")
        precondition(route.upstream.scheme == .http || canVerify, "an upstream that nobody verifies")
        precondition(route.key.contains(".") || configuration.tunnelDomain != nil, "a label below nothing")
    }
}

private func isShown(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: false
    default: true
    }
}
