/// Why a text is no upstream address. Every case has the same documented words; `detail` says what is wrong.
public struct UpstreamAddressError: Error, Hashable, Sendable, CustomStringConvertible {
    public let detail: String
    public var description: String { "invalid upstream (must be scheme://host:port)" }
}

/// Where a route leads: exactly `scheme://host:port`. If a value of this type exists, it is well formed.
public struct UpstreamAddress: Hashable, Sendable, CustomStringConvertible {
    public enum Scheme: String, Hashable, Sendable {
        case http, https
    }

    public let scheme: Scheme
    /// A host name or IPv4 address in lower case, or an IPv6 address without brackets. A name may end in a dot,
    /// which tells a resolver that it is complete.
    public let host: String
    /// 1 to 65535.
    public let port: UInt16

    /// - Throws: for anything else than the three parts, even a `/` at the end: a path would promise a prefix that
    ///   is never added.
    public init(_ text: String) throws(UpstreamAddressError) {
        guard let separator = text.firstRange(of: "://") else {
            throw UpstreamAddressError(detail: "the scheme is missing: write http:// or https://")
        }
        guard let scheme = Scheme(rawValue: text[..<separator.lowerBound].lowercased()) else {
            throw UpstreamAddressError(detail: "the scheme must be http or https")
        }
        let authority = text[separator.upperBound...]
        guard !authority.utf8.contains(where: { "/?#@".utf8.contains($0) }) else {
            throw UpstreamAddressError(detail: "remove the path, query or user name")
        }
        let host: Substring, portText: Substring
        if authority.hasPrefix("[") {
            guard let bracket = authority.firstRange(of: "]:") else {
                throw UpstreamAddressError(detail: "the port is missing behind the brackets")
            }
            host = authority[authority.index(after: authority.startIndex)..<bracket.lowerBound]
            portText = authority[bracket.upperBound...]
            guard AddressSyntax.isIPv6(host) else {
                throw UpstreamAddressError(detail: "not an IPv6 address in brackets")
            }
        } else {
            guard let colon = authority.lastIndex(of: ":") else {
                throw UpstreamAddressError(
                    detail: "the port is missing: add :80, :443 or the port the server listens on")
            }
            host = authority[..<colon]
            portText = authority[authority.index(after: colon)...]
            let name = host.hasSuffix(".") ? host.dropLast() : host
            guard AddressSyntax.isIPv4(host) || AddressSyntax.isHostName(name) else {
                throw UpstreamAddressError(
                    detail: host.contains(":") ? "write an IPv6 address in brackets" : "not a host name or address")
            }
        }
        guard let port = AddressSyntax.port(portText) else {
            throw UpstreamAddressError(detail: "the port must be a number from 1 to 65535")
        }
        (self.scheme, self.host, self.port) = (scheme, host.lowercased(), port)
    }

    public var description: String {
        "\(scheme.rawValue)://\(host.utf8.contains(0x3A) ? "[\(host)]" : host):\(port)"
    }
}
