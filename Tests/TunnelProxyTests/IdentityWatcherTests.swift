import Glibc
import Synchronization
import Testing
import TunnelCore
import TunnelIO
import TunnelTLS
import TunnelTestSupport

@testable import TunnelProxy

/// Real files, and a look whenever the test says so.
@Suite struct IdentityWatcherTests {
    @Test func aNewPairIsTakenOnce() throws {
        let bench = try Bench()
        bench.watcher.check()
        #expect(bench.news.isEmpty)
        let second = try TestIdentity.makePair()
        try bench.write(second)
        for _ in 0..<3 { bench.watcher.check() }
        #expect(bench.news == ["certificate reloaded"])
        #expect(try bench.isInForce(second))
    }

    /// A renewal writes one file, then the other. What lies between is told once and changes nothing.
    @Test func aPairThatDoesNotMatchChangesNothing() throws {
        let bench = try Bench()
        let (first, second) = (bench.first, try TestIdentity.makePair())
        try bench.write(TestIdentity.Pair(certificate: second.certificate, key: first.key))
        for _ in 0..<3 { bench.watcher.check() }
        #expect(bench.news == ["certificate not reloaded, the old one stays"])
        #expect(try bench.isInForce(first))
        try bench.write(second)
        bench.watcher.check()
        #expect(bench.news.last == "certificate reloaded")
        #expect(try bench.isInForce(second))
    }

    @Test(arguments: ["", "-----BEGIN CERTIFICATE-----\nMIIB", "no PEM at all"])
    func aHalfWrittenFileChangesNothing(_ text: String) throws {
        let bench = try Bench()
        try bench.write(TestIdentity.Pair(certificate: Array(text.utf8), key: bench.first.key))
        for _ in 0..<3 { bench.watcher.check() }
        #expect(bench.news == ["certificate not reloaded, the old one stays"])
        #expect(try bench.isInForce(bench.first))
        // Back to what is in force is no news.
        try bench.write(bench.first)
        bench.watcher.check()
        #expect(bench.news.count == 1)
        // The same fault again is.
        try bench.write(TestIdentity.Pair(certificate: Array(text.utf8), key: bench.first.key))
        bench.watcher.check()
        #expect(bench.news.count == 2)
    }

    @Test func aFileThatIsGoneIsToldOnce() throws {
        let bench = try Bench()
        unlink(bench.keyFile)
        for _ in 0..<3 { bench.watcher.check() }
        #expect(bench.news.count == 1)
        #expect(bench.log.lines(with: "no such file or directory").count == 1)
        let second = try TestIdentity.makePair()
        try bench.write(second)
        bench.watcher.check()
        #expect(try bench.isInForce(second))
        unlink(bench.keyFile)
        bench.watcher.check()
        #expect(bench.news.last == "certificate not reloaded, the old one stays")
    }

    /// Kubernetes mounts a Secret as links into a directory that is itself a link, and moves that one.
    @Test func aMovedSymlinkIsSeen() throws {
        let root = "\(TestIdentity.directory)/mount-\(UInt64.random(in: 0 ... .max))"
        let (first, second) = try (TestIdentity.makePair(), TestIdentity.makePair())
        mkdir(root, 0o700)
        for (name, pair) in [("v1", first), ("v2", second)] {
            mkdir("\(root)/\(name)", 0o700)
            try TestIdentity.write(pair.certificate, to: "\(root)/\(name)/tls.crt")
            try TestIdentity.write(pair.key, to: "\(root)/\(name)/tls.key")
        }
        defer { removeTree(root) }
        symlink("v1", "\(root)/..data")
        symlink("..data/tls.crt", "\(root)/tls.crt")
        symlink("..data/tls.key", "\(root)/tls.key")
        let bench = try Bench(certificate: "\(root)/tls.crt", key: "\(root)/tls.key", first: first)
        bench.watcher.check()
        #expect(bench.news.isEmpty)
        symlink("v2", "\(root)/..data_tmp")
        rename("\(root)/..data_tmp", "\(root)/..data")
        bench.watcher.check()
        #expect(bench.news == ["certificate reloaded"])
        #expect(try bench.isInForce(second))
    }

    /// A change between the proxy's creation and its start is a change too.
    @Test func aChangeBeforeTheStartIsSeen() throws {
        let files = try TestIdentity.files(TestIdentity.makePair(), name: "early")
        var settings = try TestProxy.Settings()
        settings.tls = ProxyConfiguration.TLS(certFile: files.certificate, keyFile: files.key)
        settings.tls.reloadInterval = .milliseconds(10)
        let log = LogRecorder()
        let server = try ProxyServer(configuration: settings.configuration(), log: log.log())
        _ = try TestIdentity.files(TestIdentity.makePair(), name: "early")
        try server.start()
        defer { server.stopAndWait() }
        #expect(log.wait(for: "certificate reloaded").count == 1)
    }

    /// The whole way: new connections get the new certificate, the open one goes on.
    @Test func aRunningProxySwapsItsCertificate() throws {
        let files = try TestIdentity.files(TestIdentity.makePair(), name: "running")
        let upstream = try Upstream.answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        let proxy = try TestProxy(["a": upstream.port]) {
            $0.tls = ProxyConfiguration.TLS(certFile: files.certificate, keyFile: files.key)
            $0.tls.reloadInterval = .milliseconds(10)
        }
        let open = try proxy.farSide()
        #expect(try open.request().status == 200)
        _ = try TestIdentity.files(TestIdentity.makePair(), name: "running")
        #expect(proxy.log.wait(for: "certificate reloaded").count >= 1)
        #expect(try open.request().status == 200)
        #expect(try proxy.farSide().request().status == 200)
    }

    /// Keys that sealed the tickets of an hour are replaced by the watch, in a proxy that runs.
    @Test func ticketKeysRotate() throws {
        let bench = try Bench(interval: .milliseconds(10))
        let keys = bench.state.credentials.ticketKeys
        func now() -> Int64 { Int64(Reactor.clock() / 1_000_000_000) }
        // The first call notes how old the key is: an hour and more.
        #expect(try !keys.rotateIfDue(now: now() - 4_000, every: 3_600))
        #expect(keys.isDue(now: now(), every: 3_600))
        bench.run { #expect(waitUntil { !keys.isDue(now: now(), every: 3_600) }) }
    }

    /// Where every thread for files is taken and no more work is, the next interval tries again. In a process of its own,
    /// where nobody else needs these threads.
    @Test func aFullPoolDoesNotEndTheWatch() async {
        await #expect(processExitsWith: .success) {
            let bench = try Bench(interval: .milliseconds(10))
            let gate = Flag()
            let running = Mutex(0)
            func fill() {
                while BlockingPool.files.submit({
                    running.withLock { $0 += 1 }
                    while !gate.isSet { usleep(1_000) }
                }) {}
            }
            fill()
            // The threads have begun by now, and left room in the queue.
            guard waitUntil({ running.withLock { $0 } == 2 }) else { exit(4) }
            fill()
            try bench.run {
                // The loop's own clock has passed the interval many times.
                let passed = ThreadSignal()
                bench.loop.spawn { loop in
                    let start = loop.reactor.now
                    _ = await turns(on: loop.reactor) { loop.reactor.now - start > 100_000_000 }
                    passed.post()
                }
                guard passed.wait(seconds: 20) else { exit(2) }
                gate.set()
                try bench.write(TestIdentity.makePair())
                guard bench.log.wait(for: "certificate reloaded").count == 1 else { exit(3) }
            }
            exit(EXIT_SUCCESS)
        }
    }

    /// A watcher over two files of its own, started by ``run(_:)`` only.
    private final class Bench {
        let certificateFile: String
        let keyFile: String
        let first: TestIdentity.Pair
        let log = LogRecorder()
        let watcher: IdentityWatcher
        let state: SharedState
        let loop: Loop

        init(
            certificate: String? = nil, key: String? = nil, first: TestIdentity.Pair? = nil,
            interval: Duration = .seconds(3600)
        ) throws {
            let first = if let first { first } else { try TestIdentity.makePair() }
            self.first = first
            let name = "watch-\(UInt64.random(in: 0 ... .max))"
            certificateFile = certificate ?? "\(TestIdentity.directory)/\(name).crt"
            keyFile = key ?? "\(TestIdentity.directory)/\(name).key"
            if certificate == nil {
                try TestIdentity.write(first.certificate, to: certificateFile)
                try TestIdentity.write(first.key, to: keyFile)
            }
            var settings = try TestProxy.Settings()
            settings.tls = ProxyConfiguration.TLS(certFile: certificateFile, keyFile: keyFile)
            settings.tls.reloadInterval = interval
            let configuration = try settings.configuration()
            state = SharedState(
                try ProxySnapshot(configuration, listeners: []),
                credentials: try ServerCredentials(
                    identity: TLSIdentity(certificates: first.certificate, privateKey: first.key)),
                log: log.log())
            loop = try Loop()
            watcher = IdentityWatcher(
                configuration.tls, inForce: .init(certificate: first.certificate, key: first.key), state, loop)
        }

        func write(_ pair: TestIdentity.Pair) throws {
            try TestIdentity.write(pair.certificate, to: certificateFile)
            try TestIdentity.write(pair.key, to: keyFile)
        }

        func isInForce(_ pair: TestIdentity.Pair) throws -> Bool {
            let identity = try TLSIdentity(certificates: pair.certificate, privateKey: pair.key)
            return state.credentials.current.identity.fingerprint == identity.fingerprint
        }

        /// Lets the watch go on by itself meanwhile.
        func run(_ body: () throws -> Void) rethrows {
            let thread = OnThread { [loop] in
                loop.run()
                return true
            }
            watcher.start()
            defer {
                watcher.stop()
                loop.stop()
                _ = thread.value()
            }
            try body()
        }

        /// The messages of the lines so far.
        var news: [String] {
            log.lines.map { line in
                let words = line.split(separator: " ").dropFirst(2)
                return words.prefix { !$0.contains("=") }.joined(separator: " ")
            }
        }
    }
}

private func removeTree(_ path: String) {
    for name in ["v1", "v2"] {
        unlink("\(path)/\(name)/tls.crt")
        unlink("\(path)/\(name)/tls.key")
        rmdir("\(path)/\(name)")
    }
    for name in ["..data", "tls.crt", "tls.key"] { unlink("\(path)/\(name)") }
    rmdir(path)
}
