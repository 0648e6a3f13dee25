import TunnelCore
import TunnelIO

/// One who sends what is cheap to send and dear to take, as fast as it goes in, to be run beside another load.
///
/// - `flood-refused`: pipelined requests that no upstream sees. Their responses are left unread.
/// - `flood-ping`: WebSocket pings. Their pongs are read.
final class FloodLoad: Load, ClientConnectionUser {
    private static let batch = 32 * 1024
    /// Batches sent before the loop looks at its other work.
    private static let batchesPerTurn = 8

    private let shared: ClientShared
    private let window: MeasuredWindow
    private let options: LoadOptions
    private let bytes: [UInt8]
    private var connections: [LoadConnection] = []

    init(_ shared: ClientShared, _ window: MeasuredWindow, _ options: LoadOptions) {
        (self.shared, self.window, self.options) = (shared, window, options)
        // RFC 6455 §5.5.2: FIN and opcode 9, masked, no payload; a mask of zeros.
        let one: [UInt8] = options.kind == .floodPing ? [0x89, 0x80, 0, 0, 0, 0] : SampleRequests.refused
        var bytes: [UInt8] = []
        while bytes.count + one.count <= FloodLoad.batch { bytes += one }
        self.bytes = bytes
    }

    func begin() throws {
        connections = (0..<options.connections).map { LoadConnection(shared, index: $0, user: self) }
        for connection in connections { try connection.open() }
        window.start()
    }

    func connectionOpened(_ connection: LoadConnection) {
        connection.isDeaf = options.kind == .floodRefused
        connection.continueNextTurn()
    }

    func connectionDrained(_ connection: LoadConnection) {
        for _ in 0..<FloodLoad.batchesPerTurn {
            guard connection.unsentCount == 0, !connection.isClosed else { return }
            bytes.withUnsafeBytes { bytes in
                if options.kind == .floodPing { connection.sendFrames(bytes) } else { connection.send(bytes) }
            }
            if window.isOpen { window.bytes &+= UInt64(bytes.count) }
        }
        connection.continueNextTurn()
    }

    func connectionReceived(_ connection: LoadConnection) { connection.plaintext.removeAll() }

    /// Whoever throws us out has us back at once.
    func connectionEnded(_ connection: LoadConnection, _ reason: String?) {
        let next = LoadConnection(shared, index: connection.index, user: self)
        connections[connection.index] = next
        do { try next.open() } catch { window.fail("\(error)") }
    }
}
