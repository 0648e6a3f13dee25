internal import TunnelCore
package import TunnelIO
internal import TunnelTLS

extension ProxyConfiguration {
    /// What of a sandbox there has to be.
    package var sandboxMode: SandboxMode {
        switch sandbox {
        case .off: .off
        case .bestEffort: .bestEffort
        case .required: .required
        }
    }

    /// What a proxy with this configuration needs of the system, as far as it can be told before anything is opened.
    ///
    /// - Parameters:
    ///   - file: the configuration's own, absolute.
    ///   - system: what every program may read.
    ///   - environment: OpenTelemetry's variables, which say where spans go.
    ///   - notifySocket: where the service manager listens.
    ///   - folders: in which folders a file and its successors lie.
    package func sandboxRules(
        file: String, system: [String] = SystemPlaces.readable(), environment: [String: String]? = nil,
        notifySocket: String? = nil, folders: (String) -> [String] = { FilePlaces.folders(of: $0) }
    ) -> SandboxRules {
        let export = exporter(environment)
        let files =
            [file] + neededFiles.map(\.path) + [export?.caFile].compactMap { $0 }.map { FilePlaces.canonical($0) ?? $0 }
        var readable: [String] = []
        for place in files.filter({ $0.hasPrefix("/") }).flatMap(folders) + system + TrustStore.systemPlaces
        where !readable.contains(place) { readable.append(place) }
        let listeners = [listenAddress, adminAddress].compactMap { $0 }
        return SandboxRules(
            readable: readable, socketFolders: listeners.compactMap(\.socketFolder), bind: bindPorts(listeners),
            connect: connectPorts(export), reachesAbstractSockets: notifySocket?.hasPrefix("@") == true)
    }

    private func exporter(_ environment: [String: String]?) -> TraceSettings.Export? {
        guard trace.enabled else { return nil }
        // What is wrong with the variables is told when they are used.
        return (try? TraceSettings.read(environment ?? TraceSettings.environment()))??.export
    }

    private func bindPorts(_ listeners: [ListenAddress]) -> SandboxRules.Ports {
        let ports = listeners.compactMap { if case .tcp(_, let port) = $0 { port } else { nil } }
        // Any free port is what 0 stands for, and which one cannot be known.
        return sandboxPorts == .any || ports.contains(0) ? .any : .only(Set(ports))
    }

    private func connectPorts(_ export: TraceSettings.Export?) -> SandboxRules.Ports {
        guard sandboxPorts == .configured else { return .any }
        var ports = Set(dialled.map(\.port) + [SandboxRules.dns] + [export?.endpoint.port].compactMap { $0 })
        // The admin listener's self-test knocks at the tunnel's.
        if adminAddress != nil, case .tcp(_, let port) = listenAddress {
            guard port > 0 else { return .any }
            ports.insert(port)
        }
        return .only(ports)
    }

    // MARK: Reload

    /// Holds a configuration that is to be put in force against the sandbox that the process is in, which nothing can widen.
    ///
    /// - Throws: every field that the sandbox leaves no room for, with its place.
    func checkRoom(in sandbox: SandboxState) throws(ConfigurationError) {
        var problems: [Diagnostic] = []
        for (field, mark, port) in dialled where !sandbox.connect.contains(port) {
            problems.append(
                Diagnostic(
                    file: places.file, mark: places.marks[mark], field: field,
                    problem: "the sandbox lets the proxy connect to \(sandbox.connect.words) and not to port \(port)",
                    remedy: "restart the proxy, or mcp-proxy upgrade; "
                        + "with sandbox_ports: any at its start a reload may bring new ports"))
        }
        for (field, path) in neededFiles {
            // What cannot be found is told of when it is read.
            guard let real = FilePlaces.canonical(path), !sandbox.allowsReading(real) else { continue }
            let shown = Diagnostic.excerpt(real, limit: 4096)
            problems.append(
                diagnostic(
                    field, "\(shown) lies where the sandbox lets the proxy read nothing",
                    remedy: "restart the proxy, or keep the file in one of the folders that it was started with"))
        }
        if !problems.isEmpty { throw ConfigurationError(problems) }
    }

    /// Where connections go, with the field and the key of its place. A Unix socket has no port.
    private var dialled: [(field: String, mark: String, port: UInt16)] {
        var list: [(field: String, mark: String, port: UInt16)] = []
        for tunnel in perTunnel {
            let field = tunnel.field("routes")
            for (index, route) in tunnel.routes.enumerated() where route.upstream.socketPath == nil {
                list.append(
                    ("\(field).\(Diagnostic.excerpt(route.key))", "\(field)[\(index)]", route.upstream.port))
            }
        }
        if let metrics = cloudflaredMetrics {
            list.append(("cloudflared_metrics", "cloudflared_metrics", metrics.port))
        }
        return list
    }

    var neededFiles: [(field: String, path: String)] {
        let tunnels = perTunnel
        var files = tunnels.flatMap { tunnel -> [(field: String, path: String)] in
            let tls = tunnel.tls
            let own = [
                ("tls.cert_file", tls.certFile), ("tls.key_file", tls.keyFile),
                ("tls.ticket_keys_file", tls.ticketKeysFile ?? ""),
            ]
            return own.filter { !$0.1.isEmpty }.map { (tunnel.field($0.0), $0.1) }
        }
        if let file = upstream.tls.caFile { files.append(("upstream.tls.ca_file", file)) }
        for tunnel in tunnels {
            for (key, options) in tunnel.routeOptions.sorted(by: { $0.key < $1.key }) {
                files += options.files.map { (tunnel.field("route_options.\(key).\($0.field)"), $0.path) }
            }
        }
        return files
    }
}

extension SandboxRules {
    /// Where name servers are asked when a response is too long for UDP.
    fileprivate static let dns: UInt16 = 53
}

extension SandboxRules.Ports {
    /// For people: `ports 53, 9000`.
    package var words: String {
        switch self {
        case .any: return "any port"
        case .only(let ports) where ports.isEmpty: return "no port"
        case .only(let ports):
            let list = ports.sorted().map(String.init).joined(separator: ", ")
            return ports.count == 1 ? "port \(list)" : "ports \(list)"
        }
    }
}

extension ListenAddress {
    /// Where a socket file is made, and removed at the end.
    fileprivate var socketFolder: String? {
        guard case .unix(let path) = self, let slash = path.lastIndex(of: "/") else { return nil }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
