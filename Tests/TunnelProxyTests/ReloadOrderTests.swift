import Synchronization
import Testing
import TunnelCore
import TunnelIO
import TunnelTLS
import TunnelTestSupport

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

    /// Of two reloads from two threads, the one that another overtakes brings nothing back.
    @Test func theLaterOneIsTakenUp() throws {
        let upstream = try Upstream.answering(okay())
        let sink = Interjection()
        let log = Log(threshold: .debug, format: .text, sink: sink, now: SystemClock.now)
        let server = try ProxyServer(configuration: TestProxy.Settings().configuration(), log: log)
        try server.start()
        defer {
            server.stopNow()
            server.stopAndWait()
        }
        let later = try TestProxy.Settings(["later": upstream.port]).configuration()
        sink.act(on: "route=earlier") { #expect(throws: Never.self) { try server.reload(later) } }
        try server.reload(TestProxy.Settings(["earlier": 1]).configuration())
        let far = try FarSide(port: try #require(server.port))
        for _ in 0..<3 { #expect(try far.request(host: "later.t.example").status == 200) }
        #expect(upstream.connections == 1)
    }

    /// Does something at a line of the log, once.
    private final class Interjection: LogSink {
        private let next = Mutex<(text: String, act: @Sendable () -> Void)?>(nil)

        func act(on text: String, _ act: @escaping @Sendable () -> Void) { next.withLock { $0 = (text, act) } }

        func write(_ line: Span<UInt8>) {
            let line = line.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
            let act = next.withLock { next in
                guard let found = next, line.contains(found.text) else { return nil as (@Sendable () -> Void)? }
                next = nil
                return found.act
            }
            act?()
        }
    }
}
