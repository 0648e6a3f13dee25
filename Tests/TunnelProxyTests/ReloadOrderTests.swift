import Testing
import TunnelCore
import TunnelIO
import TunnelTLS

@testable import TunnelProxy

/// What a reload must not undo, whatever runs beside it.
@Suite struct ReloadOrderTests {
    /// A reload knows nothing of listeners; the proxy must not become dialable by it.
    @Test func theOwnListenersStay() throws {
        let settings = try TestProxy.Settings()
        let own = [UpstreamPolicy.Listener(address: IPAddress(v4: 0x7F00_0001), port: 8080)]
        let first = try ProxySnapshot(settings.configuration(), listeners: own)
        let second = try ProxySnapshot(settings.configuration(), after: first)
        #expect(!second.policy.verdict(IPAddress(v4: 0x7F00_0001), port: 8080).isAllowed)
        #expect(second.policy.verdict(IPAddress(v4: 0x7F00_0001), port: 8081).isAllowed)
    }

    /// Of two reloads the later one decides which files are read, also when the watch hears of it through the earlier one.
    @Test func theFilesInForceAreRead() throws {
        let (first, second) = (try TestIdentity.makePair(), try TestIdentity.makePair())
        var settings = try TestProxy.Settings()
        let name = "order-\(UInt64.random(in: 0 ... .max))"
        settings.tls = ProxyConfiguration.TLS(
            certFile: "\(TestIdentity.directory)/\(name).crt", keyFile: "\(TestIdentity.directory)/\(name).key")
        try TestIdentity.write(second.certificate, to: settings.tls.certFile)
        try TestIdentity.write(second.key, to: settings.tls.keyFile)
        let state = SharedState(
            try ProxySnapshot(TestProxy.Settings().configuration()),
            credentials: try ServerCredentials(
                identity: TLSIdentity(certificates: first.certificate, privateKey: first.key)),
            log: LogRecorder().log())
        let watcher = IdentityWatcher(
            try TestProxy.Settings().tls, inForce: try first.digest(), state, try Loop())
        try state.replaceSnapshot { (try ProxySnapshot(settings.configuration(), after: $0), ()) }
        watcher.check()
        let wanted = try TLSIdentity(certificates: second.certificate, privateKey: second.key)
        #expect(state.credentials.current.identity.fingerprint == wanted.fingerprint)
    }
}
