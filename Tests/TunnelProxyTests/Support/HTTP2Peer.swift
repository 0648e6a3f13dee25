import TunnelCore
import TunnelIO
import TunnelTestSupport

/// The server's end of one HTTP/2 connection, frame by frame: it says what a test wants, also what no server would.
final class HTTP2Peer {
    struct Frame {
        let type: UInt8
        let flags: UInt8
        let stream: UInt32
        let payload: [UInt8]
    }

    /// RFC 9113 §6.
    static let headers: UInt8 = 1
    static let reset: UInt8 = 3
    private static let settings: UInt8 = 4
    static let endsStream: UInt8 = 1
    private static let endsHeaders: UInt8 = 4

    /// `:status: 200` (RFC 7541 appendix A).
    static let ok: [UInt8] = [0x88]
    /// `:status: 103`, written out beside the index of its name.
    static let earlyHints: [UInt8] = [0x08, 3, 0x31, 0x30, 0x33]

    private let peer: Peer

    /// Reads the client's preface and says the server's.
    ///
    /// - Parameters:
    ///   - streams: how many the client may open at once.
    ///   - acknowledges: says in the same breath that it has seen the client's settings.
    init?(_ connection: UpstreamConnection, streams: UInt8? = nil, acknowledges: Bool = false) {
        peer = connection.peer
        guard peer.receive(exactly: 24).starts(with: "PRI * HTTP/2.0".utf8) else { return nil }
        // SETTINGS_MAX_CONCURRENT_STREAMS.
        let settings = HTTP2Peer.frame(HTTP2Peer.settings, 0, stream: 0, streams.map { [0, 3, 0, 0, 0, $0] } ?? [])
        peer.send(settings + (acknowledges ? HTTP2Peer.frame(HTTP2Peer.settings, 1, stream: 0, []) : []))
    }

    private static func frame(_ type: UInt8, _ flags: UInt8, stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        let head = withUnsafeBytes(of: UInt32(payload.count).bigEndian) { Array($0.dropFirst()) } + [type, flags]
        return head + withUnsafeBytes(of: stream.bigEndian) { Array($0) } + payload
    }

    func send(_ type: UInt8, _ flags: UInt8, stream: UInt32, _ payload: [UInt8]) {
        peer.send(HTTP2Peer.frame(type, flags, stream: stream, payload))
    }

    func sendHead(_ block: [UInt8], stream: UInt32, ends: Bool = false) {
        send(HTTP2Peer.headers, HTTP2Peer.endsHeaders | (ends ? HTTP2Peer.endsStream : 0), stream: stream, block)
    }

    /// The next frame; `nil` at the end.
    func next() -> Frame? {
        let head = peer.receive(exactly: 9)
        guard head.count == 9 else { return nil }
        let count = head[..<3].reduce(0) { $0 << 8 | Int($1) }
        return Frame(
            type: head[3], flags: head[4], stream: head[5...].reduce(0) { $0 << 8 | UInt32($1) },
            payload: peer.receive(exactly: count))
    }

    /// The next one of that type.
    func next(_ type: UInt8) -> Frame? {
        while let frame = next() { if frame.type == type { return frame } }
        return nil
    }

    /// Says that no more will come, and waits until the other side has ended as well.
    func end() {
        peer.shutDown()
        while let piece = peer.receive(), !piece.isEmpty {}
    }
}
