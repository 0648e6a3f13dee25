import TunnelCore
import TunnelIO

/// Large answers, one after another on each connection; what counts are the bytes of their bodies.
final class DownloadLoad: Load, ClientConnectionUser {
    /// Long enough that the head of the next one does not matter.
    static let length = 1 << 30

    private let shared: ClientShared
    private let window: MeasuredWindow
    private var connections: [LoadConnection] = []
    private let request: [UInt8]
    private var openCount = 0

    init(_ shared: ClientShared, _ window: MeasuredWindow, _ options: LoadOptions) {
        (self.shared, self.window) = (shared, window)
        request = SampleRequests.download(host: options.target.host(0), length: DownloadLoad.length)
        connections = (0..<options.connections).map { LoadConnection(shared, index: $0, user: self) }
    }

    func begin() throws { for connection in connections { try connection.open() } }

    func connectionOpened(_ connection: LoadConnection) {
        window.cipher = connection.cipher
        request.withUnsafeBytes { connection.send($0) }
        openCount += 1
        if openCount == connections.count { window.start() }
    }

    func connectionReceived(_ connection: LoadConnection) {
        if connection.remaining == 0 {
            guard let head = connection.scanHead() else { return }
            guard head.status == 200, head.contentLength == DownloadLoad.length else {
                return window.fail("status \(head.status)")
            }
            connection.remaining = DownloadLoad.length
            connection.plaintext.consume(head.size)
        }
        let count = connection.plaintext.count
        connection.remaining -= count
        connection.plaintext.removeAll()
        if window.isOpen { window.bytes &+= UInt64(count) }
        if connection.remaining == 0 {
            if window.isOpen { window.operations &+= 1 }
            request.withUnsafeBytes { connection.send($0) }
        } else if connection.remaining < 0 {
            window.fail("more than the whole answer")
        }
    }

    func connectionDrained(_ connection: LoadConnection) {}

    func connectionEnded(_ connection: LoadConnection, _ reason: String?) {
        window.fail(reason ?? "the server closed a connection")
    }
}
