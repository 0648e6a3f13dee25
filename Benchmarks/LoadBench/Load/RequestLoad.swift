import TunnelCore
import TunnelIO

/// Small POSTs: each connection sends one, waits for its answer and sends the next.
final class RequestLoad: Load, ClientConnectionUser {
    private let shared: ClientShared
    private let window: MeasuredWindow
    private let options: LoadOptions
    private var connections: [LoadConnection] = []
    private var requests: [[UInt8]] = []
    private var answer = SmallAnswer()
    private var openCount = 0

    init(_ shared: ClientShared, _ window: MeasuredWindow, _ options: LoadOptions) {
        (self.shared, self.window, self.options) = (shared, window, options)
    }

    /// Opens one connection after another: a thousand handshakes at once would time out.
    func begin() throws {
        for index in 0..<options.connections {
            requests.append(SampleRequests.call(host: options.target.host(index)))
            connections.append(LoadConnection(shared, index: index, user: self))
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
        if window.isOpen {
            window.operations &+= 1
            window.latencies.record(Reactor.clock() &- connection.started)
        }
        send(connection)
    }

    func connectionDrained(_ connection: LoadConnection) {}

    func connectionEnded(_ connection: LoadConnection, _ reason: String?) {
        window.fail(reason ?? "the server closed a connection")
    }
}
