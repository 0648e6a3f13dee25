internal import TunnelCore

/// The base address of an API: `https://host[:port][/prefix]`.
///
/// Plain `http` is for this machine only (`localhost`, `127.0.0.1`, `[::1]`, compared with the host as parsed), because
/// every request carries a secret. User information, query and fragment are refused.
public struct ServiceURL: Sendable, Hashable, CustomStringConvertible {
    public let isSecure: Bool
    /// In lower case and without a trailing dot; an IPv6 address is in its shortest form (RFC 5952), without brackets.
    public let host: String
    public let port: UInt16
    /// Empty, or with a leading and without a trailing `/`.
    public let prefix: String

    /// - Throws: what is wrong, in words that fit behind the name of a flag. They hold nothing of the text.
    public init(_ text: String) throws(ServiceURLError) {
        let isSecure = text.prefix(8).lowercased() == "https://"
        guard isSecure || text.prefix(7).lowercased() == "http://" else {
            throw ServiceURLError("must start with https://")
        }
        let rest = text.dropFirst(isSecure ? 8 : 7)
        guard rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw ServiceURLError("holds a space, a control character or one beyond ASCII")
        }
        guard !rest.contains("?"), !rest.contains("#") else {
            throw ServiceURLError("must not have a query or a fragment")
        }
        let authority = Array(rest.prefix { $0 != "/" }.utf8)
        guard let parts = Authority.split(authority.span) else {
            throw ServiceURLError(
                authority.contains(0x40) ? "must not hold a user name or password" : "has no valid host and port")
        }
        let port = parts.port.map { UInt16(String(decoding: authority[$0], as: UTF8.self)) ?? 0 }
        guard port != 0 else { throw ServiceURLError("has no valid port") }
        let name = Authority.normalizedHost(authority.span)
        guard !name.isEmpty else { throw ServiceURLError("has no valid host and port") }
        var prefix = rest.dropFirst(authority.count)
        while prefix.hasSuffix("/") { prefix.removeLast() }
        guard ServiceURL.isPath(prefix) else { throw ServiceURLError("has a path that is not percent-encoded") }
        self.isSecure = isSecure
        host = name.contains(":") ? IPAddress(name)?.description ?? name : name
        self.port = port ?? (isSecure ? 443 : 80)
        self.prefix = String(prefix)
        guard isSecure || isLoopback else {
            throw ServiceURLError("must use https: secrets do not go over plain http, except to this machine")
        }
        // With one dot less each time it is read, it would be another address each time.
        guard host.contains(":") || !host.split(separator: ".", omittingEmptySubsequences: false).contains("") else {
            throw ServiceURLError("has no valid host and port")
        }
    }

    /// Segments of `pchar` and slashes (RFC 3986 §3.3).
    private static func isPath(_ text: Substring) -> Bool {
        PercentEncoding.decode(text) != nil
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: "-._~!$&'()*+,;=:@%/".utf8.contains(byte)
                }
            }
    }

    /// Whether the host is this machine by its very name.
    public var isLoopback: Bool { ["localhost", "127.0.0.1", "::1"].contains(host) }

    /// Host and port as the Host field has them: the port only where it is not the scheme's own.
    public var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    public var description: String { "\(isSecure ? "https" : "http")://\(authority)\(prefix)" }
}

/// What is wrong with the address of an API.
public struct ServiceURLError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}
