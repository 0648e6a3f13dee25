import TunnelCore
import TunnelIO

/// Large responses by HTTP/2, one after another on each place; what counts are the bytes of their bodies.
final class StreamDownloadLoad: Load, StreamUser {
    private let window: MeasuredWindow
    private var connections: [StreamConnection] = []
    private let lines: [UInt8]
    private var openCount = 0

    init(_ shared: ClientShared, _ window: MeasuredWindow, _ options: LoadOptions) {
        self.window = window
        lines = StreamRequests.download(host: options.target.host(0), length: DownloadLoad.length)
        connections = (0..<options.connections).map {
            StreamConnection(shared, index: $0, places: options.streams, user: self)
        }
    }

    func begin() throws { for connection in connections { try connection.open() } }

    func streamsOpened(_ connection: StreamConnection) {
        window.cipher = connection.cipher
        for place in connection.places { connection.request(place, lines, .get) }
        openCount += 1
        if openCount == connections.count { window.start() }
    }

    func streamResponded(_ connection: StreamConnection, _ place: Int, length: Int?) {
        if length != DownloadLoad.length { window.fail("a response of another length") }
    }

    func streamReceived(_ connection: StreamConnection, _ place: Int, _ bytes: UnsafeRawBufferPointer) {
        if window.isOpen { window.bytes &+= UInt64(bytes.count) }
    }

    func streamEnded(_ connection: StreamConnection, _ place: Int) {
        if window.isOpen { window.operations &+= 1 }
        connection.request(place, lines, .get)
    }

    func streamsFailed(_ reason: String) { window.fail(reason) }
}
