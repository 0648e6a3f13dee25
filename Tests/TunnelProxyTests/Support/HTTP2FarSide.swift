import TunnelCore
import TunnelTestSupport

/// A far side that speaks HTTP/2 frame by frame: a client that opens no window and answers no PING, unless it is told to.
final class HTTP2FarSide {
    private let far: FarSide
    /// Of all DATA frames.
    private(set) var body: [UInt8] = []

    private static let settings: UInt8 = 4
    private static let initialWindow: UInt8 = 4
    private static let windowUpdate: UInt8 = 8

    /// Connects and says the preface.
    ///
    /// - Parameter window: of each stream, at first.
    init(port: UInt16, window: UInt8? = nil) throws {
        far = try FarSide(connect(port: port), protocols: ["h2"])
        try far.upgrade()
        try far.shakeHands()
        try far.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        try send(Self.settings, 0, stream: 0, window.map { [0, Self.initialWindow, 0, 0, 0, $0] } ?? [])
    }

    func send(_ type: UInt8, _ flags: UInt8, stream: UInt32, _ payload: [UInt8]) throws {
        let head = withUnsafeBytes(of: UInt32(payload.count).bigEndian) { Array($0.dropFirst()) } + [type, flags]
        try far.send(head + withUnsafeBytes(of: stream.bigEndian) { Array($0) } + payload)
    }

    /// `GET https://host/` (RFC 7541 appendix A), with the end of the stream.
    func get(_ stream: UInt32, host: String) throws {
        try send(1, 5, stream: stream, [0x82, 0x87, 0x84, 0x41, UInt8(host.utf8.count)] + host.utf8)
    }

    func open(_ stream: UInt32, by count: UInt8) throws {
        try send(Self.windowUpdate, 0, stream: stream, [0, 0, 0, count])
    }

    /// Waits until the proxy has seen all that was sent.
    func roundTrip() throws { try far.roundTrip() }

    /// Reads to the end, closes in turn, and says which heads, bodies, resets and GOAWAYs came.
    func runToEnd() throws -> [String] {
        _ = try far.runToEnd()
        far.peer.shutDown()
        var bytes = far.takePlaintext()[...]
        var words: [String] = []
        while bytes.count >= 9 {
            let head = Array(bytes.prefix(9))
            let payload = bytes.dropFirst(9).prefix(head[..<3].reduce(0) { $0 << 8 | Int($1) })
            bytes = bytes.dropFirst(9 + payload.count)
            let stream = head[5...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            switch head[3] {
            case 0:
                body += payload
                words.append("data \(stream)")
            case 1: words.append("headers \(stream)")
            case 3: words.append("reset \(stream)")
            case 7: words.append("goaway \(payload.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) })")
            default: break
            }
        }
        return words
    }
}
