internal import TunnelCore

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

/// What is wrong with the address of a proxy, or with the list of exceptions.
public struct ProxySettingsError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }

    fileprivate func prefixed(_ variable: String) -> ProxySettingsError { .init("\(variable): \(description)") }
}
