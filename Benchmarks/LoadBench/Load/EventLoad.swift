import TunnelCore
import TunnelIO

/// Event streams: how long each event took from the upstream's send to here, or how much memory silent ones take.
///
/// The upstream writes CLOCK_MONOTONIC into each event, which is one clock for all processes of a machine.
final class EventLoad: Load, ClientConnectionUser {
    private static let openAtOnce = 32

    private let shared: ClientShared
    private let window: MeasuredWindow
    private var connections: [LoadConnection] = []
    private let request: [UInt8]
    private var begunCount = 0

    init(_ shared: ClientShared, _ window: MeasuredWindow, _ options: LoadOptions) {
        (self.shared, self.window) = (shared, window)
        let rate = options.kind == .idle ? 0 : options.eventRate
        request = SampleRequests.events(host: options.target.host(0), rate: rate)
        connections = (0..<options.connections).map { LoadConnection(shared, index: $0, user: self) }
    }

    func begin() throws { for connection in connections.prefix(EventLoad.openAtOnce) { try connection.open() } }

    func connectionOpened(_ connection: LoadConnection) {
        window.cipher = connection.cipher
        request.withUnsafeBytes { connection.send($0) }
    }

    func connectionReceived(_ connection: LoadConnection) {
        let now = Reactor.clock()
        if connection.answerSize == 0 {
            guard let head = connection.scanHead() else { return }
            guard head.status == 200 else { return window.fail("status \(head.status)") }
            connection.answerSize = head.size
            connection.plaintext.consume(head.size)
        }
        let consumed = connection.plaintext.withMutableBytes { bytes in
            EventScan.scan(UnsafeRawBufferPointer(bytes)) { sent in take(connection, sent, now) }
        }
        connection.plaintext.consume(consumed)
        if connection.plaintext.isEmpty { connection.plaintext.release() }
    }

    private func take(_ connection: LoadConnection, _ sent: UInt64, _ now: UInt64) {
        if window.isOpen {
            window.operations &+= 1
            window.latencies.record(now &- min(sent, now))
        }
        connection.sent += 1
        guard connection.sent == 1 else { return }
        begunCount += 1
        if begunCount == connections.count { window.start() }
        let next = connection.index + EventLoad.openAtOnce
        do { if next < connections.count { try connections[next].open() } } catch { window.fail("\(error)") }
    }

    func connectionDrained(_ connection: LoadConnection) {}

    func connectionEnded(_ connection: LoadConnection, _ reason: String?) {
        window.fail(reason ?? "the server closed a stream")
    }
}
