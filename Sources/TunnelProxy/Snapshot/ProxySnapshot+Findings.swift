internal import Glibc
internal import TunnelCore
internal import TunnelIO

extension ProxySnapshot {
    /// What an operator should know about this configuration. The certificate has findings of its own.
    var findings: [StartupFinding] { policyFindings + upstreamFindings + listenerFindings + keyFindings }

    private var policyFindings: [StartupFinding] {
        if configuration.upstream.disableIPValidation {
            return [
                StartupFinding(
                    .validationOff, "upstream addresses are not validated",
                    detail: "upstream.disable_ip_validation is true: a route or a DNS name may lead to any address",
                    remedy: "remove it and list the ranges of your servers in upstream.allowed_ips")
            ]
        }
        var told: Set<String> = []
        return tunnels.flatMap { tunnel in
            let field = tunnel.configuration.field("upstream.allowed_ips")
            guard told.insert(field).inserted else { return [StartupFinding]() }
            return everyAddress(tunnel.configuration.upstream.allowedIPs, field)
        }
    }

    private func everyAddress(_ ranges: [IPPrefix], _ field: String) -> [StartupFinding] {
        ranges.filter { $0.length == 0 }.map { range in
            StartupFinding(
                .everyAddressAllowed, "upstream addresses are not validated",
                detail: "\(field) holds \(range): a route or a DNS name may lead to any address",
                remedy: "list the ranges of your servers in its place")
        }
    }

    private var upstreamFindings: [StartupFinding] {
        zip(routes, names).compactMap { route, names -> StartupFinding? in
            guard let address = IPAddress(route.upstream.host) else { return nil }
            let verdict = verdict(address, of: route.key)
            guard !verdict.isAllowed else { return nil }
            return StartupFinding(
                .upstreamRefused, UpstreamPolicy.refusal(for: address),
                detail: "route \(names.label) leads to \(route.upstream), which is refused: \(verdict.name)",
                remedy: verdict == .denied(.ownListener)
                    ? "lead the route to an MCP server" : "list \(address) in upstream.allowed_ips if it is meant")
        }
    }

    /// Whether other users than the file's own and its group can read a key or another secret.
    private var keyFindings: [StartupFinding] { tunnels.flatMap { keyFindings(of: $0.configuration) } }

    private func keyFindings(of configuration: ProxyConfiguration) -> [StartupFinding] {
        let tls = configuration.tls
        let ticketKeys = configuration.field("tls.ticket_keys_file")
        var found = [
            finding(of: tls.keyFile, configuration.field("tls.key_file"), "the private key can be read by every user")
        ]
        if tls.sessionTickets, let file = tls.ticketKeysFile {
            found.append(
                finding(
                    of: file, ticketKeys, "the keys of session tickets can be read by every user"))
            if access(file, F_OK) != 0, errno == ENOENT {
                found.append(
                    StartupFinding(
                        .ticketKeysMissing, "the keys of session tickets are this proxy's own",
                        detail: "\(ticketKeys) \(file) is not there: no other proxy resumes this one's sessions",
                        remedy: "setup renew-cert makes the file; it is taken up when it comes"))
            }
        }
        let ofRoutes = configuration.routeOptions.sorted { $0.key < $1.key }.flatMap { key, options in
            options.files.filter { $0.field.hasSuffix("key_file") || $0.field.hasPrefix("set_headers.") }
                .map {
                    let field = configuration.field("route_options.\(key).\($0.field)")
                    return finding(of: $0.path, field, "a secret can be read by every user")
                }
        }
        return (found + ofRoutes).compactMap { $0 }
    }

    private func finding(of file: String, _ field: String, _ text: String) -> StartupFinding? {
        var status = stat()
        guard stat(file, &status) == 0, status.st_mode & S_IROTH != 0 else { return nil }
        let mode = "0" + String(status.st_mode & 0o7777, radix: 8)
        return StartupFinding(
            .keyReadableByOthers, text, detail: "\(field) \(file) has mode \(mode)",
            remedy: "chmod 600 it and chown it to the proxy's user, or chmod 640 with a group that this user is in")
    }

    /// A wildcard listens on the addresses that the interfaces have. Only public ones of IPv4 count of those: with private
    /// ones it cannot be told whether a container's network or an office lies behind, and a pod may have a public address
    /// of IPv6 that nobody outside can reach.
    private var listenerFindings: [StartupFinding] {
        listeners.flatMap { listener -> [StartupFinding] in
            let reachable =
                listener.address.isUnspecified
                ? SocketAddress.interfaceAddresses().filter(\.isIPv4) : [listener.address]
            guard let address = reachable.first(where: \.isPublic) else { return [] }
            return [
                StartupFinding(
                    .publicListener, "the listener has a public address",
                    detail: "listen_addr \(configuration.listenAddress) can be reached at \(address), and only"
                        + " cloudflared has to reach it",
                    remedy: "listen on 127.0.0.1 or unix:/path, or see that a firewall keeps others out")
            ]
        }
    }
}

extension IPAddress {
    /// Whether the address is one of the Internet, by IANA's registries of special-purpose addresses (RFC 6890).
    fileprivate var isPublic: Bool {
        guard isIPv4 else { return Self.global.contains(self) && !Self.documentation.contains(self) }
        return !Self.special.contains { $0.contains(self) }
    }

    private static let global = IPPrefix(masking: IPAddress(v6High: 0x2000 << 48, low: 0), length: 3)
    private static let documentation = IPPrefix(masking: IPAddress(v6High: 0x2001_0DB8 << 32, low: 0), length: 32)

    private static let special: [IPPrefix] = [
        (0, 8), (0x0A00_0000, 8), (0x6440_0000, 10), (0x7F00_0000, 8), (0xA9FE_0000, 16), (0xAC10_0000, 12),
        (0xC000_0000, 24), (0xC000_0200, 24), (0xC0A8_0000, 16), (0xC612_0000, 15), (0xC633_6400, 24),
        (0xCB00_7100, 24), (0xE000_0000, 3),
    ].map { IPPrefix(masking: IPAddress(v4: $0), length: $1) }
}
