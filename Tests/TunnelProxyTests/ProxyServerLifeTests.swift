import Glibc
import Synchronization
import Testing
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTestSupport

/// The life of a proxy goes one way: idle, running, draining, stopped, whoever says when.
@Suite struct ProxyServerLifeTests {
    private func makeServer(
        _ routes: [String: UInt16] = [:], log: Log = LogRecorder().log(),
        change: (inout TestProxy.Settings) -> Void = { _ in }
    ) throws -> ProxyServer {
        var settings = try TestProxy.Settings(routes)
        change(&settings)
        return try ProxyServer(configuration: settings.configuration(), log: log)
    }

    @Test func aStopBeforeTheRunEndsIt() async throws {
        let server = try makeServer()
        server.beginGracefulShutdown()
        try #require(server.state == .stopped)
        #expect(await server.stop())
        try await server.run()
        #expect(server.state == .stopped && server.port == nil)
        let error = #expect(throws: ProxyError.self) { try server.start() }
        #expect(error?.description == "the proxy was stopped before")
    }

    @Test func aTaskThatIsCancelledBeforeTheRunEndsIt() async throws {
        let server = try makeServer()
        // By itself: a thread that waited for a cancellation from outside would be one of the few that tasks have.
        let running = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await server.run()
        }
        try await running.value
        #expect(server.state == .stopped)
    }

    @Test func cancellingTheRunDrains() async throws {
        let (arrived, gate) = (ThreadSignal(), ThreadSignal())
        let upstream = try Upstream { connection, _ in
            guard connection.readRequest() != nil else { return }
            arrived.post()
            _ = gate.wait(seconds: 20)
            connection.send(okay())
        }
        let log = LogRecorder()
        let server = try makeServer(["a": upstream.port], log: log.log())
        let running = Task { try await server.run() }
        #expect(await eventually { server.port != nil })
        let far = try FarSide(port: server.port ?? 0)
        try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
        #expect(arrived.wait(seconds: 20))
        running.cancel()
        try #require(await eventually { !log.lines(with: "shutting down").isEmpty })
        #expect(server.state == .draining)
        gate.post()
        let answer = try far.answer()
        #expect(answer.isWhole && answer.isClosing)
        far.peer.send(far.closeFrame(.normal))
        far.peer.shutDown()
        try await running.value
        #expect(server.state == .stopped)
        #expect(log.wait(for: "clean=true").count == 1)
    }

    /// From inside of the start, which has bound its listener and is not done.
    @Test func aStopInTheMidstOfTheStartCounts() throws {
        for message in ["listening", "route configured", "certificate loaded"] {
            let interceptor = Interceptor(at: message)
            let server = try makeServer(log: interceptor.log)
            interceptor.then { server.beginGracefulShutdown() }
            try server.start()
            interceptor.forget()
            // Without anybody saying it again.
            #expect(waitUntil { server.state == .stopped }, "at \(message)")
            #expect(OnThread { server.stopAndWait() }.value() == true, "at \(message)")
            #expect(server.state == .stopped && server.port == nil)
            #expect(interceptor.recorder.wait(for: "stopped").count == 1)
        }
    }

    /// Also where the start fails: the stop has its result all the same.
    @Test func aStopInTheMidstOfAStartThatFails() throws {
        let taken = try Upstream { _, _ in }
        let server = try makeServer { $0.listen = .tcp(IPAddress(v4Bytes: 127, 0, 0, 1), port: taken.port) }
        #expect(throws: ProxyError.self) { try server.start() }
        #expect(server.state == .idle)
        #expect(OnThread { server.stopAndWait() }.value() == true && server.state == .stopped)
    }

    /// Whoever asks, before, meanwhile or later, hears the same.
    @Test(arguments: [true, false]) func everybodyHearsTheSameResult(_ isClean: Bool) async throws {
        let arrived = ThreadSignal()
        let upstream = try Upstream { connection, _ in
            guard connection.readRequest() != nil else { return }
            arrived.post()
            _ = connection.readHead()
        }
        let server = try makeServer(["a": upstream.port]) { $0.shutdownTimeout = .milliseconds(200) }
        try server.start()
        let far = try FarSide(port: server.port ?? 0)
        if !isClean {
            try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
            #expect(arrived.wait(seconds: 20))
        }
        let blocking = (0..<3).map { _ in OnThread { server.stopAndWait() } }
        let results = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<3 { group.addTask { await server.stop() } }
            group.addTask {
                try? await server.run()
                return isClean
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results == [Bool](repeating: isClean, count: 4))
        for one in blocking { #expect(one.value() == isClean) }
        #expect(await server.stop() == isClean && server.stopAndWait() == isClean)
        withExtendedLifetime(far) {}
    }

    /// A second run waits for the same end, and starts nothing.
    @Test func twoRunsAreOne() async throws {
        let log = LogRecorder()
        let server = try makeServer(log: log.log())
        let runs = (0..<2).map { _ in Task { try await server.run() } }
        #expect(await eventually { server.state == .running })
        server.beginGracefulShutdown()
        for run in runs { try await run.value }
        #expect(log.lines(with: "listening").count == 1 && server.state == .stopped)
    }

    /// In a process of its own, where nobody else has threads: they end with the server, and so do its connections.
    @Test func aServerThatIsDroppedEnds() async {
        await #expect(processExitsWith: .success) {
            let log = LogRecorder()
            var settings = try TestProxy.Settings()
            settings.threads = 2
            var server: ProxyServer? = try ProxyServer(configuration: settings.configuration(), log: log.log())
            try server?.start()
            let port = server?.port ?? 0
            guard waitUntil({ countThreads("loop-") == 2 }) else { exit(2) }
            let far = try FarSide(port: port)
            server = nil
            guard try far.runToEnd().last == "fin" else { exit(3) }
            far.peer.shutDown()
            guard log.wait(for: "stopped").count == 1 else { exit(4) }
            guard waitUntil({ countThreads("loop-") == 0 }) else { exit(5) }
            guard (try? connect(port: port)) == nil else { exit(6) }
            exit(EXIT_SUCCESS)
        }
    }
}

/// Threads of this process whose name begins so.
private func countThreads(_ prefix: String = "") -> Int {
    guard let directory = opendir("/proc/self/task") else { return -1 }
    defer { closedir(directory) }
    var count = 0
    while let entry = readdir(directory) {
        let number = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        guard let file = fopen("/proc/self/task/\(number)/comm", "r") else { continue }
        defer { fclose(file) }
        var name = [CChar](repeating: 0, count: 64)
        guard fgets(&name, 64, file) != nil else { continue }
        if String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).hasPrefix(prefix) {
            count += 1
        }
    }
    return count
}
