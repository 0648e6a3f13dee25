import TunnelCore
import TunnelIO
import TunnelTLS

/// New connections: each one shakes hands, sends one small POST, and is closed when its answer is there.
///
/// The time of one is from the call of connect to the end of the answer.
final class ConnectionLoad: Load, ClientConnectionUser {
    private let shared: ClientShared
    private let window: MeasuredWindow
    private let options: LoadOptions
    private var connections: [LoadConnection] = []
    private let request: [UInt8]
    private var answer = SmallAnswer()
    /// The session that `resume` goes on with; its first connection brings it.
    private var session: TLSClientSession?

    init(_ shared: ClientShared, _ window: MeasuredWindow, _ options: LoadOptions) {
        (self.shared, self.window, self.options) = (shared, window, options)
        request = SampleRequests.call(host: options.target.host(0), closes: true)
    }

    func begin() throws {
        if options.kind == .resume {
            connections = [LoadConnection(shared, index: 0, user: self)]
            try connections[0].open()
        } else {
            try openAll()
        }
    }

    private func openAll() throws {
        connections = (0..<options.connections).map { LoadConnection(shared, index: $0, user: self) }
        for connection in connections { try connection.open(session: session) }
        window.start()
    }

    func connectionOpened(_ connection: LoadConnection) {
        window.cipher = connection.cipher
        if session != nil && !connection.isResumed { return window.fail("the server did not resume the session") }
        request.withUnsafeBytes { connection.send($0) }
    }

    func connectionReceived(_ connection: LoadConnection) {
        let verdict = connection.plaintext.withMutableBytes { answer.check(UnsafeRawBufferPointer($0)) }
        switch verdict {
        case .partial: return
        case .wrong(let status): return window.fail("status \(status)")
        case .whole: break
        }
        connection.plaintext.removeAll()
        connection.answerSize += 1
        if window.isOpen {
            window.operations &+= 1
            if connection.isResumed { window.resumed &+= 1 }
            window.latencies.record(Reactor.clock() &- connection.started)
        }
    }

    func connectionDrained(_ connection: LoadConnection) {}

    func connectionEnded(_ connection: LoadConnection, _ reason: String?) {
        guard reason == nil, connection.answerSize == 1 else {
            return window.fail(reason ?? "a connection ended without an answer")
        }
        do {
            if options.kind == .resume && session == nil {
                guard let ticket = connection.session else { return window.fail("the server sent no session ticket") }
                session = ticket
                try openAll()
            } else {
                let next = LoadConnection(shared, index: connection.index, user: self)
                connections[connection.index] = next
                try next.open(session: session)
            }
        } catch {
            window.fail("\(error)")
        }
    }
}
