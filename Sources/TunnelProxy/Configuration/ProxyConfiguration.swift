public import TunnelCore

/// Everything the proxy can be told, checked: if a value of this type exists, each of its fields is in range and they
/// fit together.
///
/// It comes from a file (``load(path:tunnelDomain:)``), from bytes, or from code. docs/configuration.md has the
/// reference; the names there are these with underscores.
public struct ProxyConfiguration: Sendable, Equatable {
    /// Address and port, or Unix socket, to listen on.
    public internal(set) var listenAddress: ListenAddress
    public internal(set) var logLevel: LogLevel
    public internal(set) var logFormat: LogFormat
    /// How long requests in flight may take to finish when the proxy is told to stop.
    public internal(set) var shutdownTimeout: Duration
    /// The domain whose subdomains the bare keys of ``routes`` are, in lower case.
    public internal(set) var tunnelDomain: String?
    /// Event loops; 0 for one on each core that the process may run on.
    public internal(set) var threads: Int
    public internal(set) var tls: TLS
    /// In the order of the file. Keys are unique.
    public internal(set) var routes: [Route]
    public internal(set) var upstream: Upstream
    public internal(set) var webSocket: WebSocket
    public internal(set) var limits: Limits

    /// - Throws: everything that the same values would be refused for in a file.
    public init(
        listenAddress: ListenAddress, tls: TLS, routes: [Route], tunnelDomain: String? = nil,
        logLevel: LogLevel = .info, logFormat: LogFormat = .text, shutdownTimeout: Duration = .seconds(30),
        threads: Int = 0, upstream: Upstream = Upstream(), webSocket: WebSocket = WebSocket(), limits: Limits = Limits()
    ) throws(ConfigurationError) {
        self.listenAddress = listenAddress
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

        var check = ConfigurationCheck(decoder: ConfigurationDecoder(file: nil))
        check.run(self)
        if !check.diagnostics.isEmpty { throw ConfigurationError(check.diagnostics) }
    }

    /// The defaults, without what is required: a form to be filled from a file, not yet a configuration.
    init(blank: Void) {
        listenAddress = .tcp(host: nil, port: 0)
        logLevel = .info
        logFormat = .text
        shutdownTimeout = .seconds(30)
        threads = 0
        tls = TLS(certFile: "", keyFile: "")
        routes = []
        upstream = Upstream()
        webSocket = WebSocket()
        limits = Limits()
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
