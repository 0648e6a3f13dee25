import Glibc
import Testing
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTestSupport

@Suite struct ProxyServerTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

    // MARK: Start

    @Test func tellsWhereItListensAndWhatItDoes() throws {
        let settings = try TestProxy.Settings()
        let server = try ProxyServer(configuration: settings.configuration(), log: LogRecorder().log())
        #expect(server.state == .idle && server.port == nil && server.address == nil)
        try server.start()
        #expect(server.state == .running)
        #expect(server.address == server.port.map { "127.0.0.1:\($0)" })
        #expect(throws: ProxyError.self) { try server.start() }
        #expect(server.state == .running)
        #expect(server.stopAndWait())
        #expect(server.state == .stopped)
        #expect(throws: ProxyError.self) { try server.start() }
        #expect(server.stopAndWait())
    }

    @Test func countsItsConnectionsAndRequests() throws {
        let (arrived, gate) = (ThreadSignal(), ThreadSignal())
        let upstream = try Upstream { connection, _ in
            guard connection.readRequest() != nil else { return }
            arrived.post()
            _ = gate.wait(seconds: 20)
            connection.send(ProxyServerTests.ok)
        }
        let proxy = try TestProxy(["a": upstream.port])
        let (first, second) = (try proxy.farSide(), try proxy.farSide())
        #expect(proxy.server.connections == 2 && proxy.server.requestsInFlight == 0)
        try first.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
        #expect(arrived.wait(seconds: 20))
        #expect(proxy.server.requestsInFlight == 1)
        gate.post()
        #expect(try first.answer().status == 200)
        withExtendedLifetime(second) {}
    }

    /// A start that failed changes nothing, and can be tried again.
    @Test func aPortInUseFailsTheStart() throws {
        var taken: Upstream? = try Upstream { _, _ in }
        var settings = try TestProxy.Settings()
        settings.listen = .tcp(IPAddress(v4Bytes: 127, 0, 0, 1), port: taken?.port ?? 0)
        let server = try ProxyServer(configuration: settings.configuration(), log: LogRecorder().log())
        let error = #expect(throws: ProxyError.self) { try server.start() }
        #expect(error?.description.contains("address already in use") == true)
        #expect(server.state == .idle && server.port == nil)
        withExtendedLifetime(taken) {}
        taken = nil
        try server.start()
        #expect(server.state == .running)
        server.stopAndWait()
    }

    @Test func aMissingKeyFailsBeforeTheStart() throws {
        var settings = try TestProxy.Settings()
        settings.tls.keyFile = "/nonexistent/key"
        let configuration = try settings.configuration()
        let error = #expect(throws: (any Error).self) {
            try ProxyServer(configuration: configuration, log: LogRecorder().log())
        }
        let text = error.map { "\($0)" } ?? ""
        #expect(text.hasPrefix("tls.key_file: open /nonexistent/key: no such file or directory (setup makes"))
    }

    @Test func everyAddressIsTheDefault() throws {
        let proxy = try TestProxy { $0.listen = .tcp(nil, port: 0) }
        #expect(try proxy.farSide().request(host: "x.t.example").status == 502)
    }

    @Test(arguments: [1, 2]) func aUnixSocketServes(_ threads: Int) throws {
        let upstream = try Upstream.answering(ProxyServerTests.ok)
        let path = "\(TestIdentity.directory)/socket-\(threads)"
        do {
            let proxy = try TestProxy(["a": upstream.port]) {
                $0.listen = .unix(path: path)
                $0.threads = threads
            }
            #expect(proxy.server.address == "unix:\(path)" && proxy.server.port == nil)
            for _ in 0..<8 {
                let far = try FarSide(connect(path: path))
                try far.upgrade()
                try far.shakeHands()
                #expect(try far.request().body == "hi")
            }
        }
        #expect(access(path, F_OK) != 0)
    }

    @Test func everyLoopServes() throws {
        let upstream = try Upstream.answering(ProxyServerTests.ok)
        let proxy = try TestProxy(["a": upstream.port]) { $0.threads = 3 }
        let sides = try (0..<24).map { _ in try proxy.farSide() }
        for far in sides { #expect(try far.request().body == "hi") }
        // Each loop has a pool of its own.
        #expect(upstream.connections >= 1 && upstream.connections <= 24)
    }

    // MARK: Reload

    @Test func aReloadSwapsTheRoutes() throws {
        let (old, new) = try (Upstream.answering(ProxyServerTests.ok), Upstream.answering(ProxyServerTests.ok))
        let proxy = try TestProxy(["a": old.port])
        let far = try proxy.farSide()
        #expect(try far.request().status == 200)
        var settings = try TestProxy.Settings(["b": new.port])
        settings.tls.handshakeTimeout = .seconds(7)
        let kept = try proxy.server.reload(settings.configuration())
        #expect(kept == ["tls.handshake_timeout"])
        // The tunnel that was open stays and is served by the new table.
        #expect(try far.request().status == 502)
        #expect(try far.request(host: "b.t.example").status == 200)
        #expect(old.connections == 1 && new.connections == 1)
    }

    @Test func aReloadThatFailsChangesNothing() throws {
        let upstream = try Upstream.answering(ProxyServerTests.ok)
        let proxy = try TestProxy(["a": upstream.port])
        var settings = try TestProxy.Settings(["b": upstream.port], https: ["c": 1])
        settings.upstream.tls.caFile = "/nonexistent/ca.pem"
        let configuration = try settings.configuration()
        #expect(throws: (any Error).self) { try proxy.server.reload(configuration) }
        #expect(try proxy.farSide().request().status == 200)
    }

    @Test func aReloadChangesTheAddressPolicyForOpenTunnels() throws {
        let upstream = try Upstream.answering(ProxyServerTests.ok)
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        #expect(try far.request().status == 200)
        var settings = try TestProxy.Settings(["a": upstream.port])
        settings.upstream.allowedIPs = [try IPPrefix("10.0.0.0/8")]
        try proxy.server.reload(settings.configuration())
        // The pooled connection is of no use any more.
        #expect(try far.request().status == 502)
    }

    // MARK: Stop

    @Test func idleTunnelsAreClosedWith1001() throws {
        let upstream = try Upstream.answering(ProxyServerTests.ok)
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        #expect(try far.request().status == 200)
        let server = proxy.server
        let stopping = OnThread { server.stopAndWait() }
        #expect(try far.runToEnd() == ["close_notify", "close 1001", "fin"])
        far.peer.shutDown()
        #expect(stopping.value() == true)
        #expect(server.connections == 0)
        #expect(throws: TestError.self) { try connect(port: proxy.port) }
    }

    /// Also where every thread for blocking work waits for a name server. In a process of its own, where nobody else
    /// needs these threads.
    @Test func stoppingNeedsNoThreadOfTheLookups() async {
        await #expect(processExitsWith: .success) {
            let (gate, isOver) = (ThreadSignal(), Flag())
            for _ in 0..<4 {
                _ = BlockingPool.files.submit {
                    _ = gate.wait(seconds: 60)
                    isOver.set()
                }
            }
            let settings = try TestProxy.Settings()
            let server = try ProxyServer(configuration: settings.configuration(), log: LogRecorder().log())
            try server.start()
            let wasClean = await server.stop()
            exit(wasClean && !isOver.isSet ? EXIT_SUCCESS : EXIT_FAILURE)
        }
    }

    @Test func requestsUnderWayMayFinish() throws {
        let (arrived, gate) = (ThreadSignal(), ThreadSignal())
        let upstream = try Upstream { connection, _ in
            guard connection.readRequest() != nil else { return }
            arrived.post()
            _ = gate.wait(seconds: 20)
            connection.send(ProxyServerTests.ok)
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
        #expect(arrived.wait(seconds: 20))
        let server = proxy.server
        let stopping = OnThread { server.stopAndWait() }
        #expect(!proxy.log.wait(for: "shutting down").isEmpty)
        #expect(server.state == .draining)
        gate.post()
        let answer = try far.answer()
        #expect(answer.isWhole && answer.isClosing)
        try far.wait(for: "close_notify")
        far.peer.send(far.closeFrame(.normal))
        #expect(stopping.value() == true)
        #expect(proxy.finished().contains("end=complete"))
    }

    @Test(arguments: [true, false]) func aDrainCanBeCutShort(_ isByTime: Bool) throws {
        let arrived = ThreadSignal()
        let upstream = try Upstream { connection, _ in
            guard connection.readRequest() != nil else { return }
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
            arrived.post()
            _ = connection.readHead()
        }
        let proxy = try TestProxy(["a": upstream.port]) {
            $0.shutdownTimeout = isByTime ? .milliseconds(50) : .seconds(3600)
        }
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
        #expect(arrived.wait(seconds: 20))
        while far.plaintext.isEmpty { #expect(try far.step()) }
        let server = proxy.server
        let stopping = OnThread { server.stopAndWait() }
        if !isByTime {
            #expect(!proxy.log.wait(for: "shutting down").isEmpty)
            server.stopNow()
        }
        // The answer is not whole, so nothing says that it is.
        #expect(try far.runToEnd() == ["close 1001", "fin"])
        far.peer.shutDown()
        #expect(stopping.value() == false)
        #expect(proxy.finished().contains("end=shutdown"))
        #expect(server.connections == 0)
    }

    @Test func stoppingDoesNotWaitForADial() throws {
        let full = try FullListener()
        let proxy = try TestProxy(["a": full.port]) {
            $0.upstream.connectTimeout = .seconds(15)
            $0.shutdownTimeout = .milliseconds(10)
        }
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
        #expect(!proxy.log.wait(for: "request started").isEmpty)
        let server = proxy.server
        let stopping = OnThread { server.stopAndWait() }
        _ = try far.runToEnd()
        far.peer.shutDown()
        #expect(stopping.value() == false)
        #expect(server.connections == 0)
        #expect(proxy.finished().contains("end=shutdown"))
    }

    /// A far side that reads nothing has no say in how long the end takes.
    @Test func stoppingDoesNotWaitForAFarSideThatTakesNothing() throws {
        let upstream = try Upstream { connection, _ in
            guard connection.readRequest() != nil else { return }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            while connection.peer.send([UInt8](repeating: 1, count: 1_000_000)) {}
        }
        let proxy = try TestProxy(["a": upstream.port]) { $0.shutdownTimeout = .milliseconds(10) }
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
        #expect(!proxy.log.wait(for: "request started").isEmpty)
        #expect(!proxy.server.stopAndWait())
        #expect(proxy.server.connections == 0)
        #expect(proxy.finished().contains("end=shutdown"))
    }

    /// In a process of its own, where nobody else opens descriptors.
    @Test func nothingIsLeftOpen() async {
        await #expect(processExitsWith: .success) {
            let upstream = try Upstream.answering(ProxyServerTests.ok)
            func cycle() throws {
                let proxy = try TestProxy(["a": upstream.port]) { $0.threads = 2 }
                for _ in 0..<4 {
                    let far = try proxy.farSide()
                    guard try far.request().status == 200 else { exit(2) }
                }
                let open = try proxy.farSide()
                _ = try open.request()
                let server = proxy.server
                let stopping = OnThread { server.stopAndWait() }
                _ = try open.runToEnd()
                open.peer.shutDown()
                guard stopping.value() == true else { exit(3) }
            }
            try cycle()
            // The upstream's threads close their ends when ours are gone.
            let before = settledDescriptors()
            for _ in 0..<4 { try cycle() }
            exit(settledDescriptors() <= before ? EXIT_SUCCESS : EXIT_FAILURE)
        }
    }
}

/// Descriptors of this process, once their number no longer falls.
private func settledDescriptors() -> Int {
    let signal = ThreadSignal()
    var count = countDescriptors()
    var quiet = 0
    while quiet < 5 {
        _ = signal.wait(milliseconds: 50)
        let now = countDescriptors()
        quiet = now == count ? quiet + 1 : 0
        count = now
    }
    return count
}

private func countDescriptors() -> Int {
    guard let directory = opendir("/proc/self/fd") else { return -1 }
    defer { closedir(directory) }
    var count = 0
    while readdir(directory) != nil { count += 1 }
    return count
}
