import TunnelCore
import TunnelIO

/// Large request bodies, one after another on each connection.
final class UploadLoad: Load, ClientConnectionUser {
    static let length = 1 << 30
    private static let piece = 32 * 1024
    /// Pieces sent before the loop looks at its other work.
    private static let piecesPerTurn = 8

    private let shared: ClientShared
    private let window: MeasuredWindow
    private var connections: [LoadConnection] = []
    private let head: [UInt8]
    private let body = [UInt8](repeating: UInt8(ascii: "x"), count: piece)
    private var answer = SmallAnswer()
    private var openCount = 0

    init(_ shared: ClientShared, _ window: MeasuredWindow, _ options: LoadOptions) {
        (self.shared, self.window) = (shared, window)
        head = SampleRequests.upload(host: options.target.host(0), length: UploadLoad.length)
        connections = (0..<options.connections).map { LoadConnection(shared, index: $0, user: self) }
    }

    func begin() throws { for connection in connections { try connection.open() } }

    func connectionOpened(_ connection: LoadConnection) {
        window.cipher = connection.cipher
        openCount += 1
        if openCount == connections.count { window.start() }
        startBody(connection)
    }

    private func startBody(_ connection: LoadConnection) {
        head.withUnsafeBytes { connection.send($0) }
        connection.remaining = UploadLoad.length
        connection.continueNextTurn()
    }

    func connectionDrained(_ connection: LoadConnection) {
        var pieces = 0
        while connection.remaining > 0 && connection.unsentCount == 0 {
            if pieces == UploadLoad.piecesPerTurn { return connection.continueNextTurn() }
            pieces += 1
            body.withUnsafeBytes { connection.send($0) }
            connection.remaining -= UploadLoad.piece
            if window.isOpen { window.bytes &+= UInt64(UploadLoad.piece) }
        }
    }

    func connectionReceived(_ connection: LoadConnection) {
        switch connection.plaintext.withMutableBytes({ answer.check(UnsafeRawBufferPointer($0)) }) {
        case .partial: return
        case .wrong(let status): return window.fail("status \(status)")
        case .whole: break
        }
        guard connection.remaining == 0 else { return window.fail("an answer before the end of the request") }
        connection.plaintext.removeAll()
        if window.isOpen { window.operations &+= 1 }
        startBody(connection)
    }

    func connectionEnded(_ connection: LoadConnection, _ reason: String?) {
        window.fail(reason ?? "the server closed a connection")
    }
}
