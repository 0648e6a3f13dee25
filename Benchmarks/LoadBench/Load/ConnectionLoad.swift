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
    /// For `resume`: the ticket that each place has not used yet. Each is used once (RFC 8446 §C.4), so a server that
    /// sends none on a resumption has every second handshake in full.
    private var tickets: [TLSClientSession?]

    init(_ shared: ClientShared, _ window: MeasuredWindow, _ options: LoadOptions) {
        (self.shared, self.window, self.options) = (shared, window, options)
        tickets = Array(repeating: nil, count: options.connections)
        request = SampleRequests.call(host: options.target.host(0), closes: true)
    }

    func begin() throws {
        connections = (0..<options.connections).map { LoadConnection(shared, index: $0, user: self) }
        for connection in connections { try connection.open() }
        window.start()
    }

    func connectionOpened(_ connection: LoadConnection) {
        window.cipher = connection.cipher
        if tickets[connection.index] != nil && !connection.isResumed {
            return window.fail("the server did not resume the session")
        }
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
            let next = LoadConnection(shared, index: connection.index, user: self)
            connections[connection.index] = next
            var ticket = options.kind == .resume ? connection.session : nil
            if options.kind == .resume && ticket == nil { return window.fail("the server sent no session ticket") }
            if let used = tickets[connection.index], let new = ticket, new.hasSameTicket(as: used) { ticket = nil }
            tickets[connection.index] = ticket
            try next.open(session: ticket)
        } catch {
            window.fail("\(error)")
        }
    }
}
