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
        // That they are back is told once.
        try bench.write(bench.first)
        for _ in 0..<3 { bench.watcher.check() }
        #expect(bench.news.dropFirst() == ["certificate files are those in force again"])
        // The same fault again is news.
        try bench.write(TestIdentity.Pair(certificate: Array(text.utf8), key: bench.first.key))
        bench.watcher.check()
        #expect(bench.news.count == 3)
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
        #expect(try !keys.rotateIfDue(now: now() - 4_000, every: .seconds(3_600)))
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

    /// Each stage once, whatever the clock does: minutes pass, or it is stepped over two of them.
    @Test func theEndIsToldInTime() throws {
        let bench = try Bench()
        let end = bench.state.credentials.current.identity.notAfter
        bench.clock.set(end - 31 * 86_400)
        let stages: [(Int64, [String])] = [
            (31 * 86_400, []), (30 * 86_400, ["certificate expires soon"]), (29 * 86_400, []),
            (86_401, ["certificate expires soon"]), (86_400, ["certificate expires soon"]), (0, []),
            (-1, ["certificate has expired"]), (-86_400, []),
        ]
        for (left, news) in stages {
            let before = bench.news.count
            bench.clock.set(end - left)
            for _ in 0..<3 { bench.watcher.watchClock() }
            #expect(Array(bench.news.dropFirst(before)) == news, "\(left) s left")
        }
        #expect(bench.log.lines(with: "finding=expires-soon").count == 3)
        #expect(bench.log.lines(with: "finding=currently-valid").count == 1)
    }

    /// A new certificate has an end of its own.
    @Test func aRenewedCertificateIsWatchedAnew() throws {
        let bench = try Bench()
        let end = bench.state.credentials.current.identity.notAfter
        // Far enough that one made some minutes later has ended as well.
        bench.clock.set(end + 86_400)
        bench.watcher.watchClock()
        #expect(bench.news == ["certificate has expired"])
        try bench.write(TestIdentity.makePair())
        bench.watcher.check()
        // Told at the swap, and not again.
        #expect(bench.news.suffix(2) == ["certificate reloaded", "certificate has expired"])
        bench.watcher.watchClock()
        #expect(bench.news.count == 3)
    }

    /// Where the files are looked at once an hour the clock is looked at in time all the same.
    @Test func theClockIsLookedAtBetweenTwoLooks() throws {
        let bench = try Bench(interval: .seconds(3_600))
        let end = bench.state.credentials.current.identity.notAfter
        bench.run {
            bench.clock.set(end - 86_400)
            #expect(bench.log.wait(for: "certificate expires soon").count == 1)
            bench.clock.set(end + 1)
            #expect(bench.log.wait(for: "certificate has expired").count == 1)
        }
        #expect(bench.news == ["certificate loaded", "certificate expires soon", "certificate has expired"])
    }

    @Test func findingsAreToldAtTheStart() throws {
        let stranger = try TestIdentity.makePair(domain: "other.example")
        let bench = try Bench(first: stranger)
        bench.run { #expect(bench.log.wait(for: "certificate does not fit the routes").count == 1) }
        let line = bench.log.lines(with: "certificate does not fit").first ?? ""
        #expect(line.contains("finding=server-names"))
        #expect(line.contains("it is good for other.example, hosts one label below other.example"))
        #expect(line.contains("the tunnel's domain is t.example"))
        // A reload that changes nothing of it says nothing.
        bench.watcher.adopt()
        #expect(bench.log.lines(with: "certificate does not fit").count == 1)
    }

    /// What the watch keeps of the files is no key.
    @Test func keepsDigests() throws {
        let pair = try TestIdentity.makePair()
        var kept = ""
        dump(try pair.digest(), to: &kept)
        let other = TestIdentity.Pair(certificate: pair.certificate, key: pair.key + [0x0A])
        #expect(try pair.digest() == pair.digest() && pair.digest() != other.digest())
        // Two digests of 32 bytes.
        #expect(kept.contains("32 elements") && !kept.contains("\(pair.key.count) elements"))
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
        let clock = StepClock()

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
                configuration.tls, inForce: try first.digest(), state, loop, clockInterval: .milliseconds(10),
                now: { [clock] in clock.now })
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

/// A wall clock that only a test moves.
private final class StepClock: Sendable {
    private let seconds = Mutex(Int64(time(nil)))
    var now: Int64 { seconds.withLock { $0 } }
    func set(_ now: Int64) { seconds.withLock { $0 = now } }
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
