import TunnelCore
import TunnelIO

/// Small POSTs by HTTP/2: each place of each connection sends one, waits for its response and sends the next.
final class StreamRequestLoad: Load, StreamUser {
    private let window: MeasuredWindow
    private var connections: [StreamConnection] = []
    private let lines: [[UInt8]]
    private let body = SampleRequests.callBody
    private var openCount = 0

    init(_ shared: ClientShared, _ window: MeasuredWindow, _ options: LoadOptions) {
        self.window = window
        lines = (0..<options.connections).map { StreamRequests.call(host: options.target.host($0)) }
        connections = (0..<options.connections).map {
            StreamConnection(shared, index: $0, places: options.streams, user: self)
        }
    }

    func begin() throws { for connection in connections { try connection.open() } }

    func streamsOpened(_ connection: StreamConnection) {
        window.cipher = connection.cipher
        openCount += 1
        if openCount == connections.count { window.start() }
        for place in connection.places { send(connection, place) }
    }

    private func send(_ connection: StreamConnection, _ place: Int) {
        connection.request(place, lines[connection.index], .post, body: body)
    }

    func streamResponded(_ connection: StreamConnection, _ place: Int, length: Int?) {
        if length ?? 0 == 0 { window.fail("a response without a body") }
    }

    func streamReceived(_ connection: StreamConnection, _ place: Int, _ bytes: UnsafeRawBufferPointer) {}

    func streamEnded(_ connection: StreamConnection, _ place: Int) {
        if window.isOpen {
            window.operations &+= 1
            window.latencies.record(Reactor.clock() &- connection.started[place])
        }
        send(connection, place)
    }

    func streamsFailed(_ reason: String) { window.fail(reason) }
}
