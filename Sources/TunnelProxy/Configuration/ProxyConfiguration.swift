public import TunnelCore

/// Everything that can be configured, checked: if a value of this type exists, each of its fields is in range and they fit
/// together.
///
/// It comes from a file (``load(path:tunnelDomain:)``), from bytes, or from code. docs/configuration.md has the
/// reference; the names there are these with underscores.
public struct ProxyConfiguration: Sendable, Equatable {
    /// Address and port, or Unix socket, to listen on.
    public internal(set) var listenAddress: ListenAddress
    /// Permission bits of a Unix socket: who may connect to it.
    public internal(set) var listenMode: Int
    /// Name or number of the group that a Unix socket belongs to; `nil` for the process's own.
    public internal(set) var listenGroup: String?
    public internal(set) var logLevel: LogLevel
    public internal(set) var logFormat: LogFormat
    /// Whether the first bytes of a request's body are looked at for its JSON-RPC method and tool, where no field names them.
    public internal(set) var logMCP: Bool
    /// Where the admin listener is; `nil` for none.
    public internal(set) var adminAddress: ListenAddress?
    /// Names by which the admin listener may be asked, beside addresses and `localhost`.
    public internal(set) var adminHosts: [String]
    /// How long the proxy says that it is not ready, and serves as before, until it begins to drain.
    public internal(set) var shutdownDelay: Duration
    /// How long requests in flight may take to finish when the proxy is to stop.
    public internal(set) var shutdownTimeout: Duration
    /// The domain whose subdomains the bare keys of ``routes`` are, in lower case.
    public internal(set) var tunnelDomain: String?
    /// Event loops; 0 for one on each core that the process may run on.
    public internal(set) var threads: Int
    /// Whether the file that this came from is read again whenever its content has changed. Who builds a configuration in
    /// code has no such file, and nothing is watched then.
    public internal(set) var configWatch = false
    /// Where cloudflared serves its metrics, to be asked whether it is connected; `nil` for not asking.
    public internal(set) var cloudflaredMetrics: UpstreamAddress?
    public internal(set) var tls: TLS
    /// In the order of the file. Keys are unique.
    public internal(set) var routes: [Route]
    /// What some routes have for themselves, by their keys.
    public internal(set) var routeOptions: [String: RouteOptions] = [:]
    /// Several tunnels, each with its own domain, certificate and routes. Empty for a single one, which has them in
    /// ``tunnelDomain``, ``tls``, ``routes`` and ``routeOptions``.
    public internal(set) var tunnels: [Tunnel] = []
    public internal(set) var upstream: Upstream
    public internal(set) var webSocket: WebSocket
    public internal(set) var limits: Limits
    public internal(set) var http2: HTTP2
    public internal(set) var metrics = Metrics()
    public internal(set) var trace: Trace
    /// How much of a sandbox the program `mcp-proxy` must have. A library leaves the process that it runs in as it is.
    public internal(set) var sandbox = Sandbox.bestEffort
    /// Which TCP ports the sandbox leaves open.
    public internal(set) var sandboxPorts = SandboxPorts.configured
    /// Where its fields were read, for what shows only when it is put in force.
    var places = ConfigurationPlaces()

    /// - Parameter tunnels: in place of `routes`, `routeOptions`, `tunnelDomain` and the files of `tls`, which stay empty then.
    /// - Throws: everything that the same values would be refused for in a file.
    public init(
        listenAddress: ListenAddress, listenMode: Int = 0o660, listenGroup: String? = nil, tls: TLS, routes: [Route],
        tunnelDomain: String? = nil, logLevel: LogLevel = .info, logFormat: LogFormat = .text,
        shutdownTimeout: Duration = .seconds(30), threads: Int = 0, upstream: Upstream = Upstream(),
        webSocket: WebSocket = WebSocket(), limits: Limits = Limits(), http2: HTTP2 = HTTP2(),
        adminAddress: ListenAddress? = nil, adminHosts: [String] = [], shutdownDelay: Duration = .zero,
        metrics: Metrics = Metrics(), logMCP: Bool = false, trace: Trace = Trace(),
        routeOptions: [String: RouteOptions] = [:], tunnels: [Tunnel] = []
    ) throws(ConfigurationError) {
        self.listenAddress = listenAddress
        self.listenMode = listenMode
        self.listenGroup = listenGroup.flatMap { $0.isEmpty ? nil : $0 }
        self.tls = tls
        self.routes = routes
        self.tunnelDomain = tunnelDomain.flatMap { $0.isEmpty ? nil : $0.lowercased() }
        self.logLevel = logLevel
        self.logFormat = logFormat
        self.shutdownTimeout = shutdownTimeout
        self.threads = threads
        self.upstream = upstream
        self.webSocket = webSocket
        self.limits = limits
        self.http2 = http2
        self.adminAddress = adminAddress
        self.adminHosts = adminHosts
        self.shutdownDelay = shutdownDelay
        self.metrics = metrics
        self.logMCP = logMCP
        self.trace = trace
        self.routeOptions = routeOptions
        self.tunnels = tunnels

        var check = ConfigurationCheck(decoder: ConfigurationDecoder(file: nil))
        check.run(self)
        if !check.diagnostics.isEmpty { throw ConfigurationError(check.diagnostics) }
    }

    /// The defaults, without what is required: a form to be filled from a file, not yet a configuration.
    init(blank: Void) {
        listenAddress = .tcp(nil, port: 0)
        listenMode = 0o660
        listenGroup = nil
        logLevel = .info
        logFormat = .text
        logMCP = false
        shutdownTimeout = .seconds(30)
        threads = 0
        tls = TLS()
        routes = []
        upstream = Upstream()
        webSocket = WebSocket()
        limits = Limits()
        http2 = HTTP2()
        adminAddress = nil
        adminHosts = []
        shutdownDelay = .zero
        trace = Trace()
    }
}

/// One line of `routes`: requests for a host name and the server they go to.
public struct Route: Hashable, Sendable {
    /// A full host name, or the label that stands before the tunnel domain. In lower case.
    public let key: String
    public let upstream: UpstreamAddress

    public init(key: String, upstream: UpstreamAddress) {
        self.key = key.lowercased()
        self.upstream = upstream
    }
}

extension ProxyConfiguration {
    /// The inner TLS session, in which the proxy is the server.
    public struct TLS: Sendable, Equatable {
        /// PEM files, read again whenever their content changes.
        public var certFile: String
        public var keyFile: String
        /// How often the files are looked at.
        public var reloadInterval = Duration.seconds(10)
        /// How long a client may take from the upgrade to the end of the handshake.
        public var handshakeTimeout = Duration.seconds(10)
        public var minVersion = Version.tls12
        /// What is offered by ALPN (RFC 7301), the preferred one first.
        public var alpn = [ApplicationProtocol.http2, .http1]
        /// Whether clients may resume a session without a full handshake (RFC 5077, RFC 8446 §2.2).
        public var sessionTickets = true
        /// Keys for the tickets, shared with other proxies of the same tunnel, so that each resumes the others' sessions; read
        /// again whenever its content changes. `nil`, or no such file: keys of this proxy alone.
        public var ticketKeysFile: String?

        public init(certFile: String, keyFile: String) {
            self.certFile = certFile
            self.keyFile = keyFile
        }

        /// For several tunnels, each of which names files of its own.
        public init() { self.init(certFile: "", keyFile: "") }

        @nonexhaustive
        public enum Version: String, Sendable, CaseIterable {
            case tls12 = "1.2"
            case tls13 = "1.3"
        }
    }

    /// The way to the servers behind the proxy.
    public struct Upstream: Sendable, Equatable {
        /// The addresses that may be dialled.
        public var allowedIPs = Upstream.privateRanges
        /// Dial any address. Turns the defence against server-side request forgery off.
        public var disableIPValidation = false
        public var tls = TLS()
        public var hostHeader = HostHeader.preserve
        public var forwardedHeaders = ForwardedHeaders.on
        public var connectTimeout = Duration.seconds(10)
        /// From the end of a request to the head of its response; 0 for no limit.
        public var responseHeaderTimeout = Duration.zero
        public var dnsTimeout = Duration.seconds(5)
        /// How long the addresses of a name may be used again; 0 to look the name up for each connection. A failed look-up
        /// stands for a second whatever this says.
        public var dnsTTL = Duration.seconds(5)
        /// How long a connection is kept for further requests.
        public var idleTimeout = Duration.seconds(90)
        /// Idle connections kept for each route on each event loop; 0 to keep none.
        public var maxIdlePerRoute = 1024
        /// Whether `https` upstreams are offered HTTP/2.
        public var http2 = HTTP2Offer.auto
        /// Silence after which an event stream gets a comment, so that nobody takes it for dead; 0 for never.
        public var sseKeepAlive = Duration.zero
        /// The same for some routes, by their keys; these go before ``sseKeepAlive``.
        public var sseKeepAliveRoutes: [String: Duration] = [:]

        public init() {}

        /// The blocks of RFC 1918, the default of ``allowedIPs``: 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16.
        public static let privateRanges = [
            IPPrefix(masking: IPAddress(v4Bytes: 10, 0, 0, 0), length: 8),
            IPPrefix(masking: IPAddress(v4Bytes: 172, 16, 0, 0), length: 12),
            IPPrefix(masking: IPAddress(v4Bytes: 192, 168, 0, 0), length: 16),
        ]

        /// What makes the certificate of an `https` upstream trustworthy. Such a route needs one of the two.
        public struct TLS: Sendable, Equatable {
            /// A PEM file of CA certificates.
            public var caFile: String?
            /// Trust the CAs of the system too.
            public var includeSystemCAs = false

            public init() {}
        }

        /// Which `Host` an upstream sees.
        @nonexhaustive
        public enum HostHeader: String, Sendable, CaseIterable {
            /// The tunnel's host name, as the client sent it.
            case preserve
            /// The upstream's own host and port.
            case upstream
        }

        /// Which versions of HTTP an `https` upstream may choose from.
        @nonexhaustive
        public enum HTTP2Offer: String, Sendable, CaseIterable {
            /// HTTP/2 and HTTP/1.1; many requests share a connection where the upstream chooses HTTP/2.
            case auto
            /// HTTP/1.1 alone.
            case off
        }

        /// What an upstream is told of the way that a request came.
        @nonexhaustive
        public enum ForwardedHeaders: String, Sendable, CaseIterable {
            /// What the client says of it, as it came.
            case off
            /// `X-Forwarded-Proto: https` and `X-Forwarded-Host`, in place of the client's.
            case on
            /// `Forwarded` and `X-Forwarded-For` besides, behind the client's.
            case full
        }
    }

    /// The outer connection, which cloudflared makes.
    public struct WebSocket: Sendable, Equatable {
        /// How often a ping is sent; 0 for never.
        public var pingInterval = Duration.seconds(30)
        /// A connection on which nothing at all arrives for so long is given up; 0 for never.
        public var idleTimeout = Duration.zero
        /// Accept permessage-deflate (RFC 7692). TLS records do not compress.
        public var compression = false
        /// The subprotocol to agree to when it is offered; empty for none.
        public var subprotocol = ""
        /// Bytes of payload in one frame.
        public var maxFrameSize = 16_777_216

        public init() {}
    }

    /// What is told to monitoring.
    public struct Metrics: Sendable, Equatable {
        /// Tell the calls of tools apart by their names, of which 200 are kept.
        public var mcpNames = false

        public init() {}
    }

    /// What one client, and all of them, may take.
    public struct Limits: Sendable, Equatable {
        /// Bytes of a request's or response's head.
        public var maxHeaderBytes = 65_536
        /// Fields of a head.
        public var maxHeaders = 200
        /// From a head's first byte to its last.
        public var headerTimeout = Duration.seconds(30)
        /// How long an inner connection may be idle between requests; 0 for no limit.
        public var keepAliveTimeout = Duration.zero
        /// How long a request's body may not move before the request is given up; 0 for any time.
        public var bodyTimeout = Duration.seconds(60)
        /// How long a client may take none of the bytes that wait for it before it is given up; 0 for any time.
        public var sendTimeout = Duration.seconds(60)
        /// Requests in flight on one connection: the streams that HTTP/2 may have open. HTTP/1.1 serves one at a time, the
        /// others wait.
        public var maxRequestsPerConnection = 100
        /// Requests in flight in all.
        public var maxRequests = 10_000
        /// Requests that may wait for one of these to end; the others get 503 at once.
        public var maxQueued = 0
        /// How long a request waits for its turn, here and at a route.
        public var queueTimeout = Duration.seconds(1)
        /// Requests a second in all, over a long time; 0 for any number.
        public var rate = 0.0
        /// Requests that may come at once before `rate` counts; 0 for what a second brings.
        public var burst = 0
        /// WebSocket connections in all; 0 for as many as the memory is good for.
        public var maxConnections = 0
        /// Connections before their upgrade, and as many again between it and the end of the inner handshake.
        public var maxPendingConnections = 1_024
        /// Bytes buffered for each direction of an exchange.
        public var bufferSize = 65_536

        public init() {}
    }
}

extension ProxyConfiguration {
    /// The proxy's part in traces (W3C Trace Context, OpenTelemetry). Where they go is in OpenTelemetry's variables.
    public struct Trace: Sendable, Equatable {
        /// Continue the trace of a request, or begin one, and record it. Without that, `traceparent` passes as it came.
        public var enabled = false
        /// Which part of the traces that begin here is recorded, from 0 to 1; `nil` for what OTEL_TRACES_SAMPLER says.
        public var sampleRatio: Double?
        /// Name each request by a `Request-Id`, the client's or a new one, for log, upstream and client.
        public var requestID = false

        public init() {}
    }
}

extension ProxyConfiguration {
    /// What the kernel denies the program, beside what its user may not do anyway.
    @nonexhaustive
    public enum Sandbox: String, Sendable, CaseIterable {
        case off
        /// What the kernel has.
        case bestEffort = "best-effort"
        /// All of it, or the program does not start.
        case required
    }

    /// Which TCP ports can be listened on and connected to.
    @nonexhaustive
    public enum SandboxPorts: String, Sendable, CaseIterable {
        /// Those that the configuration named when the program was started.
        case configured
        /// All of them, for reloads that bring new ones.
        case any
    }
}

/// Everything that is wrong with a configuration, in the order of the file.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Never empty.
    public let diagnostics: [Diagnostic]

    init(_ diagnostics: [Diagnostic]) {
        func place(_ diagnostic: Diagnostic) -> (Int, Int) {
            (diagnostic.mark?.line ?? 0, diagnostic.mark?.column ?? 0)
        }
        self.diagnostics = diagnostics.sorted { place($0) < place($1) }
    }

    /// One line for each.
    public var description: String { diagnostics.map(\.description).joined(separator: "\n") }
}
