import Glibc
import Testing
import TunnelCore

@testable import TunnelProxy

@Suite struct ConfigurationReloaderTests {
    /// A file for a proxy that runs.
    private struct Rig {
        let proxy: TestProxy
        let path = "\(TestIdentity.directory)/reloader-\(UInt64.random(in: 0...UInt64.max)).yaml"
        let reloader: ConfigurationReloader

        init() throws {
            proxy = try TestProxy()
            let file = ConfigurationFile(path: path, tunnelDomain: TestIdentity.domain)
            let nothing = ConfigurationFile.Contents(bytes: [], isFile: true)
            reloader = ConfigurationReloader(file, contents: nothing, of: proxy.server, log: proxy.log.log())
        }

        func write(_ lines: String) throws {
            let tls = proxy.configuration.tls
            let text = """
                listen_addr: "127.0.0.1:0"
                tls: {cert_file: \(tls.certFile), key_file: \(tls.keyFile)}
                \(lines)

                """
            let file = try #require(fopen(path, "w"))
            fputs(text, file)
            fclose(file)
        }
    }

    @Test func aGoodFileIsInForceWhenTheVerdictIsThere() throws {
        let rig = try Rig()
        try rig.write("routes: {fresh: 'http://127.0.0.1:1'}\nthreads: 7")
        #expect(rig.reloader.reload(by: .command) == .done(needRestart: ["threads"]))
        #expect(rig.proxy.server.configuration.routes.map(\.key) == ["fresh"])
        #expect(rig.proxy.log.wait(for: "configuration reloaded by=command", count: 1).count == 1)
        // Asked twice, done twice: certificates and CA files that it names may be new.
        #expect(rig.reloader.reload(by: .signal) == .done(needRestart: ["threads"]))
        #expect(rig.proxy.log.wait(for: "configuration reloaded by=signal", count: 1).count == 1)
    }

    @Test func everyErrorIsInTheVerdictAndTheOldOneStays() throws {
        let rig = try Rig()
        try rig.write("routes: {fresh: nonsense}\nthreads: -1")
        guard case .refused(let reason) = rig.reloader.reload(by: .command) else {
            Issue.record("taken")
            return
        }
        let lines = reason.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines[0].hasPrefix("\(rig.path):3:"), "\(lines[0])")
        #expect(lines[0].contains("routes.fresh: invalid upstream (must be scheme://host:port)"))
        #expect(lines[1].hasPrefix("\(rig.path):4:"), "\(lines[1])")
        #expect(rig.proxy.server.configuration.routes.map(\.key) == ["none"])
    }

    @Test func contentsThatWereTriedAreNotTriedByTheWatchAgain() throws {
        let rig = try Rig()
        try rig.write("routes: {fresh: 'http://127.0.0.1:1'}")
        let contents = try rig.reloader.file.read()
        #expect(!rig.reloader.hasTried(contents))
        rig.reloader.reload(contents: contents)
        rig.reloader.reload(contents: contents)
        #expect(rig.reloader.hasTried(contents))
        try rig.write("routes: []")
        #expect(rig.reloader.reload(by: .signal) != .done(needRestart: []))
        let broken = try rig.reloader.file.read()
        rig.reloader.reload(contents: broken)
        // In this order, so that one more would have been seen.
        try rig.write("routes: {last: 'http://127.0.0.1:1'}")
        rig.reloader.reload(contents: try rig.reloader.file.read())
        let lines = rig.proxy.log.wait(for: "reloaded", count: 3)
        #expect(lines.count == 3)
        #expect(lines.filter { $0.contains("not reloaded") }.count == 1)
    }

    @Test func aProxyThatStopsIsNotReloaded() throws {
        let rig = try Rig()
        try rig.write("routes: {fresh: 'http://127.0.0.1:1'}")
        rig.proxy.server.stopAndWait()
        #expect(rig.reloader.reload(by: .command) == .refused("the proxy is not running"))
    }
}
