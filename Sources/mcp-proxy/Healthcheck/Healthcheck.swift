import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelProxy

/// `mcp-proxy healthcheck`: whether a proxy accepts tunnels, asked in the way cloudflared opens them, and with a certificate
/// that a client can take. Images without a shell have nothing else to ask with.
enum Healthcheck {
    /// The whole check ends within this time: it is shorter than the time-outs that container engines give a check.
    static let timeout = Duration.seconds(3)

    private static let address = CommandFlag(
        "addr", takes: "ADDRESS",
        "where it listens: 127.0.0.1:8080, :8080, mcp-proxy:8080 or unix:/path (default: listen_addr)")

    private static let listenerOnly = CommandFlag(
        "listener-only", "do not look at the certificate: for a check that restarts the proxy, which mends none")

    static let command = ProxyCommand(
        path: ["healthcheck"], summary: "open a tunnel to a running proxy, to see that it serves",
        details: """
            Exit status 0 if it agrees within \(timeout.components.seconds) s and its certificate is valid now and for the tunnel, else 1
            and the reason. With -addr the tunnel's domain is known by -tunnel-domain only; a proxy with several tunnels
            has to be asked for one of them so.
            """,
        flags: [address, listenerOnly, .config, .tunnelDomain], example: "mcp-proxy healthcheck -addr 127.0.0.1:8080"
    ) { arguments in
        if arguments[address] != nil, arguments[.config] != nil {
            throw UsageError("flags -addr and -config exclude each other")
        }
        do {
            var certificates = [CertificateCheck(tunnelDomain: arguments[.tunnelDomain])]
            let place: Place
            if let given = try arguments[address].map({ try Place($0) }) {
                place = given
            } else {
                let configuration = try ProxyConfiguration.load(arguments)
                place = .address(try target(of: configuration.listenAddress))
                certificates = configuration.perTunnel.map { CertificateCheck($0).ofDomain }
            }
            if arguments.has(listenerOnly) { try check(place) }
            for certificate in certificates where !arguments.has(listenerOnly) {
                try check(place, certificate: certificate)
            }
            return .done
        } catch let error as UsageError {
            throw error
        } catch {
            ProxyProgram.complain("mcp-proxy: healthcheck: \(line("\(error)"))")
            return .failed
        }
    }

    /// Where to ask.
    enum Place: Equatable {
        case address(SocketAddress)
        /// As other containers and pods know the proxy; looked up for the check.
        case name(String, port: UInt16)

        /// Reads the value of `-addr`.
        init(_ text: String) throws {
            if let listener = ListenAddress(text) {
                self = .address(try Healthcheck.target(of: listener))
            } else if let colon = text.lastIndex(of: ":"), AddressSyntax.isHostName(Self.withoutDot(text[..<colon])),
                let port = AddressSyntax.port(text[text.index(after: colon)...])
            {
                self = .name(text[..<colon].lowercased(), port: port)
            } else {
                let remedy = "write 127.0.0.1:8080, [::1]:8080, NAME:8080 or unix:/path"
                throw UsageError("flag -addr: invalid address \"\(Diagnostic.excerpt(text))\" (\(remedy))")
            }
        }

        /// A name may end in a dot, which tells a resolver that it is complete.
        private static func withoutDot(_ name: Substring) -> Substring {
            name.hasSuffix(".") ? name.dropLast() : name
        }
    }

    /// Where a listener can be reached from its own host: a wildcard address is reached by its loopback one.
    ///
    /// - Throws: for port 0, whose number is only in the proxy's log.
    static func target(of address: ListenAddress) throws(FarSideError) -> SocketAddress {
        switch address {
        case .unix(let path): return .unix(path: path)
        case .tcp(_, port: 0):
            throw FarSideError("the port of \(address) is not known beforehand: give it by -addr")
        case .tcp(let ip, let port):
            switch ip ?? IPAddress(v4: 0) {
            case IPAddress(v4: 0): return .ip(IPAddress(v4Bytes: 127, 0, 0, 1), port: port)
            case IPAddress(v6High: 0, low: 0): return .ip(IPAddress(v6High: 0, low: 1), port: port)
            case let ip: return .ip(ip, port: port)
            }
        }
    }

    /// Opens a WebSocket, shakes hands inside, and closes it again.
    ///
    /// - Parameter certificate: what the proxy's certificate is held against; without it there is no handshake.
    /// - Throws: for any other response than 101, for a certificate that no client takes, and when `limit` has passed.
    static func check(
        _ place: Place, certificate: CertificateCheck? = nil, within limit: Duration = timeout
    ) throws {
        try Loop.run { loop in
            let farSide: FarSide
            switch place {
            case .name(let name, let port):
                farSide = try await FarSide.connect(
                    toName: name, port: port, host: "\(name):\(port)", within: limit, on: loop.reactor)
            case .address(let target):
                let host = if case .ip = target { "\(target)" } else { "localhost" }
                farSide = try await FarSide.connect(to: target, host: host, within: limit, on: loop.reactor)
            }
            try await farSide.openWebSocket()
            // The response is in; the rest is courtesy.
            guard let certificate else { return await farSide.closeWebSocket() }
            let shown = try await farSide.inspectCertificate(name: certificate.anyHost)
            let failures = try certificate.failures(der: shown, now: SystemClock.now().seconds)
            if let first = failures.first { throw FarSideError("\(first)") }
        }
    }

    /// A text without line breaks, as what collects the output of checks expects.
    static func line(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: "; ")
    }
}
