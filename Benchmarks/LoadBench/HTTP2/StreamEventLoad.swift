import TunnelCore
import TunnelIO

/// Event streams by HTTP/2, on as few connections as asked for: the delay of each event, or the memory of silent streams.
final class StreamEventLoad: Load, StreamUser {
    private static let openAtOnce = 32

    private final class Stream {
        /// The start of an event whose rest has not come.
        var partial = ByteBuffer()
        var hasBegun = false
    }

    private let window: MeasuredWindow
    private var connections: [StreamConnection] = []
    private let lines: [UInt8]
    /// For each place of each connection.
    private var streams: [[Stream]]
    private var missing: Int

    init(_ shared: ClientShared, _ window: MeasuredWindow, _ options: LoadOptions) {
        self.window = window
        let rate = options.kind == .idle ? 0 : options.eventRate
        lines = StreamRequests.events(host: options.target.host(0), rate: rate)
        missing = options.connections * options.streams
        streams = (0..<options.connections).map { _ in (0..<options.streams).map { _ in Stream() } }
        connections = (0..<options.connections).map {
            StreamConnection(shared, index: $0, places: options.streams, user: self)
        }
    }

    func begin() throws { for connection in connections { try connection.open() } }

    func streamsOpened(_ connection: StreamConnection) {
        window.cipher = connection.cipher
        for place in connection.places.prefix(StreamEventLoad.openAtOnce) { connection.request(place, lines, .get) }
    }

    func streamResponded(_ connection: StreamConnection, _ place: Int, length: Int?) {}

    func streamReceived(_ connection: StreamConnection, _ place: Int, _ bytes: UnsafeRawBufferPointer) {
        let now = Reactor.clock()
        let stream = streams[connection.index][place]
        stream.partial.append(bytes)
        let consumed = stream.partial.withMutableBytes { bytes in
            EventScan.scan(UnsafeRawBufferPointer(bytes)) { sent in take(connection, place, sent, now) }
        }
        stream.partial.consume(consumed)
    }

    private func take(_ connection: StreamConnection, _ place: Int, _ sent: UInt64, _ now: UInt64) {
        if window.isOpen {
            window.operations &+= 1
            window.latencies.record(now &- min(sent, now))
        }
        let stream = streams[connection.index][place]
        guard !stream.hasBegun else { return }
        stream.hasBegun = true
        missing -= 1
        if missing == 0 { window.start() }
        let next = place + StreamEventLoad.openAtOnce
        if next < connection.places.count { connection.request(next, lines, .get) }
    }

    func streamEnded(_ connection: StreamConnection, _ place: Int) { window.fail("the server ended a stream") }

    func streamsFailed(_ reason: String) { window.fail(reason) }
}
