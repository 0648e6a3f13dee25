internal import FoundationEssentials
package import TunnelCore

/// An HTTP proxy that opens tunnels with CONNECT (RFC 9110 §9.3.6), itself reached in plain.
///
/// Its textual forms show host and port only.
public struct HTTPProxy: Sendable, CustomStringConvertible, CustomReflectable {
    /// In lower case; an IPv6 address is without brackets.
    public let host: String
    public let port: UInt16
    /// The whole value of Proxy-Authorization; `nil` for none.
    package let authorization: Secret?

    /// Reads `http://[user:password@]host[:port]`; the scheme may be missing and the port is 80 then. User and password
    /// are percent-encoded and sent with the Basic scheme (RFC 7617).
    ///
    /// - Throws: what is wrong, in words that fit behind the name of a variable. They hold nothing of the text.
    public init(_ text: String) throws(ProxySettingsError) {
        var rest = text[...]
        if let separator = text.firstRange(of: "://") {
            switch text[..<separator.lowerBound].lowercased() {
            case "http": rest = text[separator.upperBound...]
            case "https": throw ProxySettingsError("a proxy that is reached over https is not supported, use http://")
            case let scheme where scheme.hasPrefix("socks"):
                throw ProxySettingsError("a SOCKS proxy is not supported, use an HTTP proxy: http://host:port")
            default: throw ProxySettingsError("must be http://host:port")
            }
        }
        if rest.hasSuffix("/") { rest.removeLast() }
        if let at = rest.lastIndex(of: "@") {
            authorization = try HTTPProxy.basicAuthorization(rest[..<at])
            rest = rest[rest.index(after: at)...]
        } else {
            authorization = nil
        }
        let authority = Array(rest.utf8)
        host = Authority.normalizedHost(authority.span)
        guard let parts = Authority.split(authority.span), !host.isEmpty else {
            throw ProxySettingsError("has no valid host and port, must be http://host:port")
        }
        let port = parts.port.map { UInt16(String(decoding: authority[$0], as: UTF8.self)) ?? 0 } ?? 80
        guard port != 0 else { throw ProxySettingsError("has no valid port, must be http://host:port") }
        self.port = port
    }

    /// RFC 7617 §2: the user's name holds no colon, neither part a control character.
    private static func basicAuthorization(_ userInformation: Substring) throws(ProxySettingsError) -> Secret {
        let parts = userInformation.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let user = PercentEncoding.decode(parts[0]),
            let password = PercentEncoding.decode(parts.count > 1 ? parts[1] : ""),
            !user.contains(UInt8(ascii: ":")), (user + password).allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else { throw ProxySettingsError("has a user name or password that is not percent-encoded as it should be") }
        return Secret("Basic " + Data(user + [UInt8(ascii: ":")] + password).base64EncodedString())
    }

    /// For example `http://proxy.example:3128`.
    public var description: String { "http://\(host.contains(":") ? "[\(host)]" : host):\(port)" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
