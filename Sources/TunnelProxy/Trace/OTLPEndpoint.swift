internal import TunnelCore

/// Where spans are sent to: a URL, and the headers that go with them.
struct OTLPEndpoint: Sendable {
    struct Failure: Error {
        let problem: String
    }

    let isSecure: Bool
    /// A name or an address, an IPv6 address without brackets.
    let host: String
    let port: UInt16
    /// Path and query.
    let target: String
    private let headers: [(name: String, value: Secret)]

    /// Those that the request has anyway, and those that would change its framing.
    private static let own = [
        "host", "content-length", "content-type", "transfer-encoding", "connection", "user-agent",
    ]

    /// - Parameters:
    ///   - isBase: the path of traces goes behind it; otherwise the URL is taken as it is.
    ///   - headers: that ``isHeader(_:_:)`` takes.
    init(_ text: String, isBase: Bool, headers: [(name: String, value: Secret)] = []) throws(Failure) {
        isSecure = text.lowercased().hasPrefix("https://")
        guard isSecure || text.lowercased().hasPrefix("http://") else {
            throw Failure(problem: "does not begin with http:// or https://")
        }
        let rest = text.dropFirst(isSecure ? 8 : 7)
        let authority = Array(rest.prefix { !"/?#".contains($0) }.utf8)
        guard !authority.contains(0x40) else {
            throw Failure(problem: "must not hold a user name or password: OTEL_EXPORTER_OTLP_HEADERS is for these")
        }
        guard let parts = Authority.split(authority.span) else { throw Failure(problem: "has no valid host and port") }
        let name = Authority.normalizedHost(authority.span)
        let port = parts.port.flatMap { $0.isEmpty ? nil : UInt16(String(decoding: authority[$0], as: UTF8.self)) }
        guard !name.isEmpty, port != 0 else { throw Failure(problem: "has no valid host and port") }
        var path = String(rest.dropFirst(authority.count))
        if isBase {
            guard !path.contains("?"), !path.contains("#") else {
                throw Failure(problem: "must not have a query or a fragment")
            }
            while path.hasSuffix("/") { path.removeLast() }
            path += "/v1/traces"
        } else if !path.hasPrefix("/") {
            path = "/" + path
        }
        guard HTTPToken.isTarget(path) else { throw Failure(problem: "has a path that is not percent-encoded") }
        (host, self.port, target, self.headers) = (name, port ?? (isSecure ? 443 : 80), path, headers)
    }

    /// Whether such a line can stand in the request.
    static func isHeader(_ name: String, _ value: String) -> Bool {
        HTTPToken.isToken(name) && HTTPToken.isFieldValue(value) && !own.contains(name.lowercased())
    }

    private var authority: String {
        let name = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// For the log: without query and headers.
    var description: String { "\(isSecure ? "https" : "http")://\(authority)\(target.prefix { $0 != "?" })" }

    /// The head of a request with a body of `count` bytes.
    func appendHead(count: Int, to buffer: inout ByteBuffer) {
        buffer.append("POST \(target) HTTP/1.1\r\nHost: \(authority)\r\n")
        buffer.append("User-Agent: mcp-proxy/\(TunnelProxyVersion.current)\r\n")
        buffer.append("Content-Type: application/json\r\nContent-Length: ")
        buffer.append(decimal: UInt64(count))
        buffer.append("\r\n")
        for (name, value) in headers { buffer.append("\(name): \(value.reveal())\r\n") }
        buffer.append("\r\n")
    }
}
