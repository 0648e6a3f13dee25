public import TunnelCore

/// What one route has for itself, in place of what holds for all (`route_options`). What is `nil` or empty is as for all.
public struct RouteOptions: Sendable, Equatable {
    public var hostHeader: ProxyConfiguration.Upstream.HostHeader?
    public var connectTimeout: Duration?
    /// From the end of a request to the head of its response; 0 for no limit.
    public var responseHeaderTimeout: Duration?
    /// Silence after which an event stream gets a comment; 0 for never.
    public var sseKeepAlive: Duration?
    /// Requests under way to this route; 0 for as many as there may be in all.
    public var maxRequests = 0
    /// Requests that may wait for one of these to end; others get 503 at once.
    public var maxQueued = 0
    /// Requests a second, over a long time; 0 for any number.
    public var rate = 0.0
    /// Requests that may come at once before `rate` counts; 0 for what a second brings.
    public var burst = 0
    /// Ranges that the route's addresses have to lie in too; each lies in the list that holds for all.
    public var allowedIPs: [IPPrefix]?
    public var tls = TLS()
    /// Fields that the upstream gets from us, in place of the client's of these names.
    public var setHeaders: [HeaderFile] = []
    /// The methods that pass; empty for all.
    public var methods: [String] = []
    /// The paths that pass, each a whole path or, ending in `/*`, the beginning of one; empty for all.
    public var paths: [String] = []

    public init() {}

    /// TLS to one upstream.
    public struct TLS: Sendable, Hashable {
        /// A PEM file of CA certificates, which are trusted in place of those of `upstream.tls`.
        public var caFile: String?
        /// What the proxy proves itself with: PEM files of a chain and of its key.
        public var clientCertFile: String?
        public var clientKeyFile: String?
        /// The name to ask for and to verify, in place of the upstream's host.
        public var serverName: String?
        /// One of these has to be the server's public key: `sha256//` and base64, as curl writes them.
        public var pins: [String] = []

        public init() {}
    }

    /// A field whose value is in a file, because it is a secret.
    public struct HeaderFile: Sendable, Hashable {
        public let name: String
        /// What stands before the file's content, such as `Bearer `.
        public let prefix: String
        public internal(set) var file: String

        public init(name: String, file: String, prefix: String = "") {
            (self.name, self.file, self.prefix) = (name, file, prefix)
        }
    }
}

extension RouteOptions {
    /// The files that it names, each with the field below the route's name.
    var files: [(field: String, path: String)] {
        var files: [(field: String, path: String)] = []
        if let file = tls.caFile { files.append(("tls.ca_file", file)) }
        if let file = tls.clientCertFile { files.append(("tls.client_cert_file", file)) }
        if let file = tls.clientKeyFile { files.append(("tls.client_key_file", file)) }
        return files + setHeaders.map { ("set_headers.\($0.name).file", $0.file) }
    }

    /// Gives each of these files another path.
    mutating func mapFiles(_ transform: (_ field: String, String) -> String) {
        tls.caFile = tls.caFile.map { transform("tls.ca_file", $0) }
        tls.clientCertFile = tls.clientCertFile.map { transform("tls.client_cert_file", $0) }
        tls.clientKeyFile = tls.clientKeyFile.map { transform("tls.client_key_file", $0) }
        for index in setHeaders.indices {
            setHeaders[index].file = transform("set_headers.\(setHeaders[index].name).file", setHeaders[index].file)
        }
    }
}
