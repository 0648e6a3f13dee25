import TunnelCore
import TunnelIO
import TunnelProxy

/// `mcp-proxy healthcheck`: whether a proxy accepts tunnels, asked in the way cloudflared opens them. Images without a
/// shell have nothing else to ask with.
struct Healthcheck {
    /// The whole check ends within this time: it is shorter than the time-outs that container engines give a check.
    static let timeout = Duration.seconds(3)

    let target: SocketAddress
    /// The check's end.
    let deadline: ContinuousClock.Instant

    /// Says on standard error, in one line, why the answer is no.
    static func run(_ options: CommandLineOptions) -> ExitStatus {
        do {
            let target = try target(of: try options.address ?? listenAddress(options))
            try Healthcheck(target: target, deadline: .now + timeout).openTunnel()
            return .done
        } catch {
            ProxyCommand.complain("mcp-proxy: healthcheck: \(line("\(error)"))\n")
            return .failed
        }
    }

    private static func listenAddress(_ options: CommandLineOptions) throws -> ListenAddress {
        try ProxyConfiguration.load(path: options.configPath, tunnelDomain: options.tunnelDomain).listenAddress
    }

    /// Where a listener can be reached from its own host: a wildcard address is reached by its loopback one.
    ///
    /// - Throws: for port 0, whose number only the proxy's log tells.
    static func target(of address: ListenAddress) throws(HealthcheckError) -> SocketAddress {
        switch address {
        case .unix(let path): return .unix(path: path)
        case .tcp(_, port: 0):
            throw HealthcheckError("the port of \(address) is not known beforehand: give it by -addr")
        case .tcp(let host, let port):
            guard let ip = IPAddress(host ?? "0.0.0.0") else {
                throw HealthcheckError("\(address) is not an IP address and a port")
            }
            switch ip {
            case IPAddress(v4: 0): return .ip(IPAddress(v4Bytes: 127, 0, 0, 1), port: port)
            case IPAddress(v6High: 0, low: 0): return .ip(IPAddress(v6High: 0, low: 1), port: port)
            default: return .ip(ip, port: port)
            }
        }
    }

    /// Shakes hands as a WebSocket client (RFC 6455 §4.1) and closes the WebSocket again (§7.1.2).
    ///
    /// - Throws: for any other answer than 101, and at the deadline.
    func openTunnel() throws {
        let socket = try ProbeSocket(connectingTo: target, until: deadline)
        let host = if case .ip = target { "\(target)" } else { "localhost" }
        let handshake = try ClientHandshake(host: host)
        var output = ByteBuffer()
        handshake.appendRequest(into: &output)
        try socket.send(output.array)

        // The handshake refuses an answer before it grows beyond its limit.
        var answer: [UInt8] = []
        while try handshake.check(answer.span) == nil {
            let more = try socket.receive()
            if more.isEmpty { throw HealthcheckError("\(target): connection closed without an answer") }
            answer += more
        }

        // The answer is in; the rest is courtesy. The proxy ends the connection once it has our Close frame, and what
        // is read until then is dropped.
        output = ByteBuffer()
        var frames = FrameEncoder(role: .client)
        frames.appendClose(.normal, to: &output)
        try? socket.send(output.array)
        while let more = try? socket.receive(), !more.isEmpty {}
    }

    /// A text without line breaks, as what collects the output of checks expects.
    static func line(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: "; ")
    }
}

/// Why a check failed.
struct HealthcheckError: Error, Equatable, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
