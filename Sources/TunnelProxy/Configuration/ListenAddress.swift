public import TunnelCore
internal import TunnelIO

/// Where the proxy listens.
@nonexhaustive
public enum ListenAddress: Hashable, Sendable, CustomStringConvertible {
    /// A TCP port on one address, or on all of them (IPv4 and IPv6) with `nil`. Port 0 takes any free one.
    case tcp(IPAddress?, port: UInt16)
    /// A Unix domain socket at an absolute path of at most 107 bytes, as `sockaddr_un` has room for.
    case unix(path: String)

    /// Reads `:8080`, `127.0.0.1:8080`, `[::]:8080`, `localhost:8080` (which is 127.0.0.1) or `unix:/path`; `nil` for
    /// anything else. Other host names are not resolved: what a listener binds to must not depend on DNS.
    public init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard ListenAddress.isSocketPath(path) else { return nil }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"),
            let port = AddressSyntax.port(text[text.index(after: colon)...], allowsZero: true)
        else { return nil }
        let host = text[..<colon]
        if host.isEmpty {
            self = .tcp(nil, port: port)
        } else if host.lowercased() == "localhost" {
            self = .tcp(IPAddress(v4Bytes: 127, 0, 0, 1), port: port)
        } else {
            let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
            // Brackets are for IPv6 and for nothing else: RFC 3986 §3.2.2.
            guard let address = IPAddress(isBracketed ? host.dropFirst().dropLast() : host),
                address.isIPv4 != isBracketed
            else { return nil }
            self = .tcp(address, port: port)
        }
    }

    /// Whether a Unix domain socket can have that path.
    static func isSocketPath(_ path: String) -> Bool {
        path.hasPrefix("/") && path.utf8.count <= 107 && !path.utf8.contains(0)
    }

    public var description: String {
        switch self {
        case .tcp(nil, let port): ":\(port)"
        case .tcp(let address?, let port): address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}

extension ListenAddress {
    /// Whether a socket that listens at `address` is what this asks for. Without an address, that is any wildcard; port 0 is
    /// any port.
    func isMet(by address: SocketAddress) -> Bool {
        switch (self, address) {
        case (.unix(let path), .unix(let bound)): path == bound
        case (.tcp(let wanted, let port), .ip(let bound, let boundPort)):
            (port == 0 || port == boundPort) && (wanted.map { $0 == bound } ?? bound.isUnspecified)
        default: false
        }
    }

    /// Whether both can be listened on at once, as far as their texts tell.
    func isOther(than other: ListenAddress) -> Bool {
        switch (self, other) {
        case (.tcp(let a, let port), .tcp(let b, let otherPort)):
            port != otherPort || port == 0 || (a != b && a?.isUnspecified == false && b?.isUnspecified == false)
        default: self != other
        }
    }

    /// What the policy must know of it before it is bound.
    fileprivate var policyListeners: [UpstreamPolicy.Listener] {
        guard case .tcp(let address, let port) = self else { return [] }
        return [UpstreamPolicy.Listener(address: address ?? IPAddress(v6High: 0, low: 0), port: port)]
    }
}

extension ProxyConfiguration {
    /// What the policy must know before anything is bound, so that no route leads back into the proxy.
    var policyListeners: [UpstreamPolicy.Listener] {
        listenAddress.policyListeners + (adminAddress?.policyListeners ?? [])
    }
}

extension ListenAddress: ConfigurationValue {
    package static var typeName: String { "string" }

    package static func read(
        _ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder
    ) -> ListenAddress? {
        guard let text = String.read(node, field: field, &decoder) else { return nil }
        guard let address = ListenAddress(text) else {
            decoder.report(
                "invalid listen address \"\(Diagnostic.excerpt(text))\"",
                remedy: "write :8080, 127.0.0.1:8080, [::1]:8080 or unix:/path", field: field, at: node.mark)
            return nil
        }
        return address
    }

    package var shown: String { description }
}
