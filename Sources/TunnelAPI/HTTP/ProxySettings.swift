internal import FoundationEssentials
package import TunnelCore

/// Which requests go through a proxy: `HTTPS_PROXY` and `NO_PROXY`, read as Go's `golang.org/x/net/http/httpproxy` does,
/// so that one environment means the same to this program and to those written in Go.
///
/// Differences: what Go passes over in silence is an error here, and a name in `NO_PROXY` never matches an address.
/// `HTTP_PROXY` is of no use, because plain requests go to this machine only.
public struct ProxySettings: Sendable {
    private let secureProxy: HTTPProxy?
    private let exceptions: ProxyExceptions

    /// No proxy.
    public init() { self.init(nil, ProxyExceptions()) }

    private init(_ secureProxy: HTTPProxy?, _ exceptions: ProxyExceptions) {
        (self.secureProxy, self.exceptions) = (secureProxy, exceptions)
    }

    /// Reads the variables `HTTPS_PROXY` and `NO_PROXY`, or else `https_proxy` and `no_proxy`. An empty one counts as
    /// not set, and without a proxy the exceptions are not read.
    ///
    /// - Throws: for a value that is malformed or not supported. The text names the variable, and holds no credentials.
    public init(environment: [String: String]) throws(ProxySettingsError) {
        guard let (name, value) = ProxySettings.variable("HTTPS_PROXY", environment) else {
            self.init()
            return
        }
        let proxy: HTTPProxy
        do throws(ProxySettingsError) { proxy = try HTTPProxy(value) } catch { throw error.prefixed(name) }
        guard let (name, value) = ProxySettings.variable("NO_PROXY", environment) else {
            self.init(proxy, ProxyExceptions())
            return
        }
        let exceptions: ProxyExceptions
        do throws(ProxySettingsError) { exceptions = try ProxyExceptions(value) } catch { throw error.prefixed(name) }
        self.init(proxy, exceptions)
    }

    private static func variable(_ name: String, _ environment: [String: String]) -> (name: String, value: String)? {
        for name in [name, name.lowercased()] {
            if let value = environment[name], !value.isEmpty { return (name, value) }
        }
        return nil
    }

    /// The proxy for requests to `service`; `nil` for none. There never is one for a service on this machine.
    public func proxy(for service: ServiceURL) -> HTTPProxy? {
        guard service.isSecure, !service.isLoopback, IPAddress(service.host)?.isLoopback != true,
            !exceptions.contain(host: service.host, port: service.port)
        else { return nil }
        return secureProxy
    }
}

/// An HTTP proxy that opens tunnels with CONNECT (RFC 9110 §9.3.6), itself reached in plain or in TLS.
///
/// Its textual forms show host and port only.
public struct HTTPProxy: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// Reached in TLS: neither the host that is asked for nor the credentials can be read on the way to it.
    public let isSecure: Bool
    /// In lower case; an IPv6 address is without brackets.
    public let host: String
    public let port: UInt16
    /// The whole value of Proxy-Authorization; `nil` for none.
    package let authorization: Secret?

    /// Reads `http://[user:password@]host[:port]` or the same with `https://`. Without a scheme it is `http`, and without
    /// a port that of the scheme, 80 or 443. User and password are percent-encoded and sent with the Basic scheme
    /// (RFC 7617).
    ///
    /// - Throws: what is wrong, in words that fit behind the name of a variable. They hold nothing of the text.
    public init(_ text: String) throws(ProxySettingsError) {
        var rest = text[...]
        var isSecure = false
        if let separator = text.firstRange(of: "://") {
            rest = text[separator.upperBound...]
            switch text[..<separator.lowerBound].lowercased() {
            case "http": break
            case "https": isSecure = true
            case let scheme where scheme.hasPrefix("socks"):
                throw ProxySettingsError("a SOCKS proxy is not supported, use an HTTP proxy: http://host:port")
            default: throw ProxySettingsError("must be \(HTTPProxy.form)")
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
            throw ProxySettingsError("has no valid host and port, must be \(HTTPProxy.form)")
        }
        let port = parts.port.map { UInt16(String(decoding: authority[$0], as: UTF8.self)) ?? 0 }
        guard port != 0 else { throw ProxySettingsError("has no valid port, must be \(HTTPProxy.form)") }
        self.port = port ?? (isSecure ? 443 : 80)
        self.isSecure = isSecure
    }

    private static let form = "http://host:port or https://host:port"

    init(isSecure: Bool = false, host: String, port: UInt16, authorization: Secret? = nil) {
        (self.isSecure, self.host, self.port, self.authorization) = (isSecure, host, port, authorization)
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

    /// Host and port, for example `proxy.example:3128`.
    var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// For example `http://proxy.example:3128`.
    public var description: String { "\(isSecure ? "https" : "http")://\(authority)" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }

    /// A connection that was opened with other credentials is another one.
    public static func == (a: Self, b: Self) -> Bool {
        a.isSecure == b.isSecure && a.host == b.host && a.port == b.port
            && a.authorization?.reveal() == b.authorization?.reveal()
    }
}

/// The hosts that are reached without a proxy: the value of `NO_PROXY`, a list with commas.
///
/// - `*` is every host.
/// - `example.com` is that host and those below it; `.example.com` and `*.example.com` are only those below.
/// - `10.0.0.1` and `::1` are one address, `10.0.0.0/8` a range of them (bits behind the prefix do not count).
/// - `example.com:8443`, `10.0.0.1:8443` and `[::1]:8443` count for that port only.
struct ProxyExceptions: Sendable {
    private enum Host: Sendable {
        case all
        case addresses(IPPrefix)
        /// In lower case, without a leading dot.
        case name(String, includingItself: Bool)
    }

    private var entries: [(host: Host, port: UInt16?)] = []

    /// None.
    init() {}

    /// - Throws: for an entry of any other form.
    init(_ list: String) throws(ProxySettingsError) {
        for entry in list.split(separator: ",") {
            let text = entry.trimmingSpaces
            if !text.isEmpty { entries.append(try ProxyExceptions.parse(text)) }
        }
    }

    private static func parse(_ text: Substring) throws(ProxySettingsError) -> (host: Host, port: UInt16?) {
        if text == "*" { return (.all, nil) }
        if let address = IPAddress(text) { return (.addresses(IPPrefix(address)), nil) }
        if let range = range(text) { return (.addresses(range), nil) }
        let isBelowOnly = text.hasPrefix(".") || text.hasPrefix("*.")
        let name = Array((isBelowOnly ? text.drop { $0 == "*" }.dropFirst() : text).utf8)
        guard let parts = Authority.split(name.span), name.first != UInt8(ascii: ".") else { throw refusal(of: text) }
        var port: UInt16?
        if let digits = parts.port {
            port = UInt16(String(decoding: name[digits], as: UTF8.self))
            guard let port, port > 0 else { throw refusal(of: text) }
        }
        let host = Authority.normalizedHost(name.span)
        if !isBelowOnly, let address = IPAddress(host) { return (.addresses(IPPrefix(address)), port) }
        guard !host.contains(":") else { throw refusal(of: text) }
        return (.name(host, includingItself: !isBelowOnly), port)
    }

    /// CIDR notation. Unlike elsewhere bits behind the prefix are taken as if they were not there: Go does, and here
    /// the worst that a misreading can do is a connection past the proxy.
    private static func range(_ text: Substring) -> IPPrefix? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), parts[1].utf8.count <= 3,
            parts[1].utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let length = Int(parts[1]),
            length <= address.bitWidth
        else { return nil }
        return IPPrefix(masking: address, length: length)
    }

    private static func refusal(of text: Substring) -> ProxySettingsError {
        // An entry of that form can only be the address of a proxy that went to the wrong variable.
        if text.contains("@") { return ProxySettingsError("an entry holds user information") }
        let shown = text.unicodeScalars.prefix(64).map { $0.escaped(asASCII: true) }.joined()
        return ProxySettingsError("\"\(shown)\" is not a host name, an address or a range of addresses")
    }

    /// Whether `host`, a name in lower case or an address, is reached without a proxy.
    func contain(host: String, port: UInt16) -> Bool {
        let address = IPAddress(host)
        return entries.contains { entry in
            if let only = entry.port, only != port { return false }
            return switch entry.host {
            case .all: true
            case .addresses(let range): address.map(range.contains) ?? false
            case .name(let name, let includingItself):
                address == nil && (host.hasSuffix("." + name) || includingItself && host == name)
            }
        }
    }
}

extension Substring {
    fileprivate var trimmingSpaces: Substring {
        var text = drop { $0 == " " || $0 == "\t" }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}

/// What is wrong with the address of a proxy, or with the list of exceptions.
public struct ProxySettingsError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }

    fileprivate func prefixed(_ variable: String) -> ProxySettingsError { .init("\(variable): \(description)") }
}
