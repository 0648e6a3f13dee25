import TunnelCore
import TunnelIO

/// Small POSTs: each connection sends one, waits for its answer and sends the next, at once or at its time.
///
/// One whose time comes while the answer before is still out counts from its time on. So a server that makes a
/// connection wait is seen with every request that would have been sent meanwhile, not with one.
final class RequestLoad: Load, ClientConnectionUser {
    private let shared: ClientShared
    private let window: MeasuredWindow
    private let options: LoadOptions
    private var connections: [LoadConnection] = []
    private var requests: [[UInt8]] = []
    private var answer = SmallAnswer()
    private var openCount = 0
    private let interval: UInt64
    private var timers: [Deadline] = []

    init(_ shared: ClientShared, _ window: MeasuredWindow, _ options: LoadOptions) {
        (self.shared, self.window, self.options) = (shared, window, options)
        interval = UInt64(options.interval * 1e9)
        if interval > 0 { window.beforeClose = { [unowned self] in recordOutstanding() } }
    }

    /// What has no answer yet when the time is over, and what was due meanwhile.
    private func recordOutstanding() {
        let now = Reactor.clock()
        for connection in connections where connection.remaining > 0 {
            for due in stride(from: connection.started, to: now, by: Int(interval)) {
                window.latencies.record(now &- due)
            }
        }
    }

    /// Opens one connection after another: a thousand handshakes at once would time out.
    func begin() throws {
        for index in 0..<options.connections {
            requests.append(SampleRequests.call(host: options.target.host(index)))
            connections.append(LoadConnection(shared, index: index, user: self))
            timers.append(Deadline(on: shared.reactor) { [unowned self] in send(connections[index]) })
        }
        for connection in connections.prefix(16) { try connection.open() }
    }

    func connectionOpened(_ connection: LoadConnection) {
        openCount += 1
        window.cipher = connection.cipher
        let next = connection.index + 16
        do { if next < connections.count { try connections[next].open() } } catch { window.fail("\(error)") }
        if openCount == connections.count {
            for connection in connections { send(connection) }
            window.start()
        }
    }

    private func send(_ connection: LoadConnection) {
        connection.started = Reactor.clock()
        sendRequest(connection)
    }

    private func sendRequest(_ connection: LoadConnection) {
        connection.remaining = 1
        requests[connection.index].withUnsafeBytes { connection.send($0) }
    }

    func connectionReceived(_ connection: LoadConnection) {
        let verdict = connection.plaintext.withMutableBytes { answer.check(UnsafeRawBufferPointer($0)) }
        switch verdict {
        case .partial: return
        case .wrong(let status): return window.fail("status \(status)")
        case .whole: break
        }
        connection.plaintext.removeAll()
        connection.remaining = 0
        let now = Reactor.clock()
        if window.isOpen {
            window.operations &+= 1
            window.latencies.record(now &- connection.started)
        }
        let due = connection.started &+ interval
        if interval == 0 {
            send(connection)
        } else if now < due {
            timers[connection.index].set(after: due &- now)
        } else {
            connection.started = due
            sendRequest(connection)
        }
    }

    func connectionDrained(_ connection: LoadConnection) {}

    func connectionEnded(_ connection: LoadConnection, _ reason: String?) {
        window.fail(reason ?? "the server closed a connection")
    }
}
