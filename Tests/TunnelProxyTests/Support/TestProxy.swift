import TunnelCore
import TunnelTLS

@testable import TunnelProxy

/// A proxy on a free port with one loop, its log kept.
final class TestProxy {
    let server: ProxyServer
    let log = LogRecorder()
    let configuration: ProxyConfiguration

    /// - Parameters:
    ///   - routes: names below `t.example` and ports of 127.0.0.1.
    ///   - change: what of the configuration is not as usual.
    init(
        _ routes: [String: UInt16] = [:], https: [String: UInt16] = [:], change: (inout Settings) -> Void = { _ in }
    ) throws {
        var settings = try Settings(routes, https: https)
        change(&settings)
        configuration = try settings.configuration()
        server = try ProxyServer(configuration: configuration, log: log.log())
        try server.start()
    }

    deinit {
        server.stopNow()
        server.stopAndWait()
    }

    var port: UInt16 { server.port ?? 0 }

    func farSide() throws -> FarSide { try FarSide(port: port) }

    /// The line of the request that finished last, once `count` have.
    func finished(_ count: Int = 1) -> String { log.wait(for: "request finished", count: count).last ?? "" }

    struct Settings {
        var listen = ListenAddress.tcp(IPAddress(v4Bytes: 127, 0, 0, 1), port: 0)
        var tls: ProxyConfiguration.TLS
        var routes: [Route]
        var upstream = ProxyConfiguration.Upstream()
        var webSocket = ProxyConfiguration.WebSocket()
        var limits = ProxyConfiguration.Limits()
        var shutdownTimeout = Duration.seconds(10)
        var threads = 1
        var routeOptions: [String: RouteOptions] = [:]

        init(_ routes: [String: UInt16] = [:], https: [String: UInt16] = [:]) throws {
            let files = try TestIdentity.files()
            tls = ProxyConfiguration.TLS(certFile: files.certificate, keyFile: files.key)
            var all = try routes.map { Route(key: $0, upstream: try UpstreamAddress("http://127.0.0.1:\($1)")) }
            all += try https.map { Route(key: $0, upstream: try UpstreamAddress("https://localhost:\($1)")) }
            if all.isEmpty { all = [Route(key: "none", upstream: try UpstreamAddress("http://127.0.0.1:1"))] }
            self.routes = all
            upstream.allowedIPs = [try IPPrefix("127.0.0.0/8"), try IPPrefix("::1")]
            if !https.isEmpty { upstream.tls.caFile = try TestIdentity.authorityFile() }
        }

        func configuration() throws -> ProxyConfiguration {
            try ProxyConfiguration(
                listenAddress: listen, tls: tls, routes: routes, tunnelDomain: TestIdentity.domain,
                logLevel: .debug, shutdownTimeout: shutdownTimeout, threads: threads, upstream: upstream,
                webSocket: webSocket, limits: limits, routeOptions: routeOptions)
        }
    }
}

extension SharedState {
    /// What workers share, without a server.
    static func forTests(_ configuration: ProxyConfiguration? = nil, log: Log? = nil) throws -> SharedState {
        let configuration = if let configuration { configuration } else { try TestProxy.Settings().configuration() }
        let pair = try TestIdentity.shared.get()
        return SharedState(
            try ProxySnapshot(configuration, listeners: []),
            credentials: try ServerCredentials(
                identity: TLSIdentity(certificates: pair.certificate, privateKey: pair.key)),
            log: log ?? LogRecorder().log())
    }
}
