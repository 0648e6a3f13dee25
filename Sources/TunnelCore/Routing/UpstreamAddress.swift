/// Why a text is no upstream address. Every case has the same documented words; `reason` says what is wrong.
public struct UpstreamAddressError: Error, Hashable, Sendable, CustomStringConvertible {
    public let reason: String
    public var description: String { "invalid upstream (must be scheme://host:port)" }
}

/// Where a route leads: exactly `scheme://host:port`, or `unix:/path`. If a value of this type exists, it is well formed.
public struct UpstreamAddress: Hashable, Sendable, CustomStringConvertible {
    @nonexhaustive
    public enum Scheme: String, Hashable, Sendable {
        case http, https
        /// HTTP/2 without TLS, by prior knowledge (RFC 9113 §3.3).
        case h2c
    }

    public let scheme: Scheme
    /// A host name or IPv4 address in lower case, or an IPv6 address without brackets. A name may end in a dot,
    /// which tells a resolver that it is complete. Empty for a Unix socket: there is nothing to be looked up.
    public let host: String
    /// 1 to 65535; 0 for a Unix socket.
    public let port: UInt16
    /// The absolute path of a Unix domain socket, which is asked in plain HTTP; `nil` for a host.
    public let socketPath: String?

    /// - Throws: for anything else than the three parts, even a `/` at the end: a path would promise a prefix that
    ///   is never added.
    public init(_ text: String) throws(UpstreamAddressError) {
        if text.hasPrefix("unix:") {
            socketPath = try Self.socketPath(text.dropFirst(5))
            (scheme, host, port) = (.http, "", 0)
            return
        }
        guard let separator = text.firstRange(of: "://") else {
            throw UpstreamAddressError(reason: "the scheme is missing: write http:// or https://")
        }
        guard let scheme = Scheme(rawValue: text[..<separator.lowerBound].lowercased()) else {
            throw UpstreamAddressError(reason: "the scheme must be http, https or h2c")
        }
        let authority = text[separator.upperBound...]
        guard !authority.utf8.contains(where: { "/?#@".utf8.contains($0) }) else {
            throw UpstreamAddressError(reason: "remove the path, query or user name")
        }
        let host: Substring, portText: Substring
        if authority.hasPrefix("[") {
            guard let bracket = authority.firstRange(of: "]:") else {
                throw UpstreamAddressError(reason: "the port is missing behind the brackets")
            }
            host = authority[authority.index(after: authority.startIndex)..<bracket.lowerBound]
            portText = authority[bracket.upperBound...]
            guard AddressSyntax.isIPv6(host) else {
                throw UpstreamAddressError(reason: "not an IPv6 address in brackets")
            }
        } else {
            guard let colon = authority.lastIndex(of: ":") else {
                throw UpstreamAddressError(
                    reason: "the port is missing: add :80, :443 or the port the server listens on")
            }
            host = authority[..<colon]
            portText = authority[authority.index(after: colon)...]
            let name = host.hasSuffix(".") ? host.dropLast() : host
            guard AddressSyntax.isIPv4(host) || AddressSyntax.isHostName(name) else {
                throw UpstreamAddressError(
                    reason: host.contains(":") ? "write an IPv6 address in brackets" : "not a host name or address")
            }
        }
        guard let port = AddressSyntax.port(portText) else {
            throw UpstreamAddressError(reason: "the port must be a number from 1 to 65535")
        }
        (self.scheme, self.host, self.port, socketPath) = (scheme, host.lowercased(), port, nil)
    }

    /// A path that `sockaddr_un` has room for, in one spelling, and fit for a line of the log.
    private static func socketPath(_ path: Substring) throws(UpstreamAddressError) -> String {
        guard path.hasPrefix("/"), !path.hasPrefix("//"), !path.hasSuffix("/") else {
            throw UpstreamAddressError(
                reason: "write a socket's absolute path behind unix:, such as unix:/run/mcp.sock")
        }
        guard path.utf8.count <= 107 else {
            throw UpstreamAddressError(reason: "a socket's path has at most 107 bytes")
        }
        guard path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw UpstreamAddressError(reason: "a socket's path has no space, control character or letter beyond ASCII")
        }
        return String(path)
    }

    /// What stands for the upstream in a `Host` that names it and not the tunnel.
    package var authority: String {
        if socketPath != nil { return "localhost" }
        return "\(host.utf8.contains(0x3A) ? "[\(host)]" : host):\(port)"
    }

    public var description: String {
        if let socketPath { return "unix:\(socketPath)" }
        return "\(scheme.rawValue)://\(authority)"
    }
}

/// The spelling of IP addresses and host names, as far as a configuration has to judge it.
package enum AddressSyntax {
    /// An IPv4 address as `IPAddress` reads it.
    package static func isIPv4(_ text: some StringProtocol) -> Bool { IPAddress(text)?.isIPv4 == true }

    /// An IPv6 address as `IPAddress` reads it, without brackets and without a zone.
    package static func isIPv6(_ text: some StringProtocol) -> Bool { IPAddress(text)?.isIPv4 == false }

    /// Labels of letters, digits, hyphens and underscores, 63 at most each and 253 in all (RFC 1123 §2.1; underscores
    /// because container names have them). A name that ends in a number is none: resolvers read `127.1` or `0x7f.1`
    /// as an address.
    package static func isHostName(_ text: some StringProtocol) -> Bool {
        guard text.utf8.count <= 253 else { return false }
        let labels = Array(text.utf8).split(separator: 0x2E, omittingEmptySubsequences: false)
        guard labels.allSatisfy(isLabel), let last = labels.last else { return false }
        let isHexNumber = last.count > 1 && last.first == 0x30 && (last.dropFirst().first ?? 0) | 0x20 == 0x78
        return !last.allSatisfy(isDigit) && !(isHexNumber && last.dropFirst(2).allSatisfy(isHexDigit))
    }

    /// One label of such a name. It may be a number: what stands before a domain is never read as an address.
    package static func isLabel(_ text: some StringProtocol) -> Bool { isLabel(Array(text.utf8)[...]) }

    private static func isLabel(_ label: ArraySlice<UInt8>) -> Bool {
        guard (1...63).contains(label.count), label.first != 0x2D, label.last != 0x2D else { return false }
        return label.allSatisfy { isDigit($0) || isLetter($0) || $0 == 0x2D || $0 == 0x5F }
    }

    /// A port from 1 (0 with `allowsZero`) to 65535, in digits without leading zeros.
    package static func port(_ text: some StringProtocol, allowsZero: Bool = false) -> UInt16? {
        guard let value = number(text.utf8, upTo: 65_535), value > 0 || allowsZero else { return nil }
        return UInt16(value)
    }

    /// A decimal number without sign and leading zeros.
    package static func number(_ digits: some Collection<UInt8>, upTo limit: Int) -> Int? {
        guard (1...9).contains(digits.count), digits.allSatisfy(isDigit) else { return nil }
        guard digits.first != 0x30 || digits.count == 1 else { return nil }
        let value = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        return value <= limit ? value : nil
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte.decimalDigit != nil }
    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
    private static func isHexDigit(_ byte: UInt8) -> Bool { byte.hexDigit != nil }
}
