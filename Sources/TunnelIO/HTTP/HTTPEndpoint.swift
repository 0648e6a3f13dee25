package import TunnelCore

/// Where requests go: a host and port, in TLS or plain, directly or through a proxy.
package struct HTTPEndpoint: Sendable, Equatable, CustomStringConvertible {
    /// An HTTP proxy that opens tunnels on request (CONNECT, RFC 9110 §9.3.6), reached in plain.
    package struct Proxy: Sendable, Equatable, CustomStringConvertible {
        package let host: String
        package let port: UInt16
        /// The whole value of Proxy-Authorization; `nil` for none.
        package let authorization: Secret?

        package init(host: String, port: UInt16, authorization: Secret? = nil) {
            (self.host, self.port, self.authorization) = (host, port, authorization)
        }

        package var description: String { HTTPEndpoint.authority(host, port) }

        package static func == (a: Self, b: Self) -> Bool {
            a.host == b.host && a.port == b.port && a.authorization?.reveal() == b.authorization?.reveal()
        }
    }

    /// In TLS. Plain requests go to this machine only, whatever the name leads to, for they carry secrets.
    package let isSecure: Bool
    /// A name or an address, an IPv6 address without brackets.
    package let host: String
    package let port: UInt16
    /// Only for secure endpoints: a plain one is on this machine.
    package let proxy: Proxy?

    package init(isSecure: Bool, host: String, port: UInt16, proxy: Proxy? = nil) {
        (self.isSecure, self.host, self.port) = (isSecure, host, port)
        self.proxy = isSecure ? proxy : nil
    }

    /// Host and port as the Host field has them: the port only where it is not the scheme's own (RFC 9110 §7.2).
    package var hostField: String {
        guard port == (isSecure ? 443 : 80) else { return description }
        return host.contains(":") ? "[\(host)]" : host
    }

    /// Host and port, as CONNECT has them.
    package var description: String { HTTPEndpoint.authority(host, port) }

    private static func authority(_ host: String, _ port: UInt16) -> String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
