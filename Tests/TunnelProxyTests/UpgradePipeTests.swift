import Testing
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTestSupport

@Suite struct UpgradePipeTests {
    private static let request =
        "GET /ws HTTP/1.1\r\nHost: a.t.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    private static let switching =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    @Test func bytesGoBothWaysUntilTheUpstreamEnds() throws {
        let upstream = try Upstream { connection, _ in
            guard let head = connection.readHead() else { return }
            #expect(head.contains("Upgrade: websocket\r\n"))
            connection.send(UpgradePipeTests.switching + "first")
            #expect(connection.readBody(4) == "ping")
            connection.send("pong")
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send(UpgradePipeTests.request)
        let answer = try far.answer()
        #expect(answer.status == 101 && answer.fields["upgrade"] == "websocket")
        try far.send("ping")
        try far.wait(for: "close 1000")
        #expect(String(decoding: far.takePlaintext(), as: UTF8.self) == "firstpong")
        #expect(far.events == ["close_notify", "close 1000"])
        #expect(proxy.finished().contains("status=101"))
    }

    /// What the client says right before it closes still reaches the upstream.
    @Test(arguments: [5, 20_000, 60_000]) func theClientsLastBytesArrive(_ count: Int) throws {
        let received = Received()
        let upstream = try Upstream { connection, _ in
            guard connection.readHead() != nil else { return }
            connection.send(UpgradePipeTests.switching)
            received.set(connection.readBody(1_000_000).utf8.count)
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send(UpgradePipeTests.request)
        #expect(try far.answer().status == 101)
        // In one write, so that the end comes in the same turn.
        let last = try far.encrypted([UInt8](repeating: 0x78, count: count))
        far.peer.send(last + far.closeNotify() + far.closeFrame(.normal))
        #expect(received.wait() == count)
        #expect(proxy.finished().contains("bytes_in=\(count)"))
    }

    /// They are in our kernel, and the upstream reads nothing.
    @Test func anUpstreamThatNeverTakesThemIsGivenUp() throws {
        let gate = ThreadSignal()
        let upstream = try Upstream(receiveBuffer: 4_096) { connection, _ in
            guard connection.readHead() != nil else { return }
            connection.send(UpgradePipeTests.switching)
            _ = gate.wait(seconds: 20)
        }
        defer { gate.post() }
        let proxy = try TestProxy(["a": upstream.port]) { $0.limits.sendTimeout = .milliseconds(300) }
        let far = try proxy.farSide()
        try far.send(UpgradePipeTests.request)
        #expect(try far.answer().status == 101)
        let last = try far.encrypted([UInt8](repeating: 0x78, count: 60_000))
        far.peer.send(last + far.closeNotify() + far.closeFrame(.normal))
        #expect(proxy.finished().contains("end=timeout"))
    }

    @Test func aResetOfTheUpstreamIsAnError() throws {
        let upstream = try Upstream { connection, _ in
            guard connection.readHead() != nil else { return }
            connection.send(UpgradePipeTests.switching)
            // Closing with unread bytes resets the connection.
            var byte: [UInt8]?
            byte = connection.peer.receive(atMost: 1)
            #expect(byte?.count == 1)
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send(UpgradePipeTests.request)
        #expect(try far.answer().status == 101)
        try far.send(String(repeating: "y", count: 1_000))
        _ = try far.runToEnd()
        #expect(!far.events.contains("close_notify"))
        #expect(proxy.finished().contains("end=upstream_failed"))
    }

    @Test func aSwitchThatNobodyAskedForIsRefused() throws {
        let upstream = try Upstream.answering(UpgradePipeTests.switching)
        let proxy = try TestProxy(["a": upstream.port])
        #expect(try proxy.farSide().request().status == 502)
    }

    @Test func anUpgradeThatIsDeclinedIsAnOrdinaryAnswer() throws {
        let upstream = try Upstream.answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send(UpgradePipeTests.request)
        #expect(try far.answer().body == "no")
        #expect(try far.request().body == "no")
    }
}

/// A number that one thread hands to another.
private final class Received: Sendable {
    private let progress = Progress()
    private let signal = ThreadSignal()

    func set(_ count: Int) {
        progress.add(count)
        signal.post()
    }

    func wait() -> Int {
        _ = signal.wait(seconds: 20)
        return progress.standstill()
    }
}
