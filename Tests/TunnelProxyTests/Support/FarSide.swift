import Glibc
import TunnelCore
import TunnelTLS
import TunnelTestSupport

/// The far side of a tunnel, blocking: a WebSocket client, a TLS client in it, an HTTP client in that.
final class FarSide {
    let peer: Peer
    private var encoder = FrameEncoder(role: .client)
    private var decoder = FrameDecoder(role: .client)
    private var engine: TLSEngine
    private var undecoded = ByteBuffer()
    /// Decrypted and not yet taken.
    private(set) var plaintext = ByteBuffer()
    /// What came that is no data, in order: `pong x`, `ping x`, `close_notify`, `close 1000`, `fin`, `reset`.
    private(set) var events: [String] = []

    /// For a connection that is a WebSocket already.
    ///
    /// - Parameter protocols: what it offers by ALPN.
    init(_ peer: Peer, serverName: String = TestIdentity.domain, protocols: [String] = ["http/1.1"]) throws {
        self.peer = peer
        engine = try TLSEngine(client: TestIdentity.client(protocols), serverName: serverName)
    }

    /// Connects, upgrades and shakes hands.
    convenience init(port: UInt16, serverName: String = TestIdentity.domain) throws {
        try self.init(connect(port: port), serverName: serverName)
        try upgrade()
        try shakeHands()
    }

    func upgrade(early: [UInt8] = []) throws {
        let handshake = try ClientHandshake(host: "localhost")
        var request = ByteBuffer()
        handshake.appendRequest(into: &request)
        peer.send(request.array + early)
        while true {
            guard let piece = peer.receive(), !piece.isEmpty else { throw TestError("upgrade") }
            undecoded.append(piece)
            let response = try undecoded.withBytes { try handshake.check($0) }
            guard let response else { continue }
            undecoded.consume(response.consumed)
            return
        }
    }

    func shakeHands() throws {
        peer.send(try firstFlight())
        while !engine.isHandshakeComplete {
            guard try step() else { throw TestError("handshake: \(events)") }
        }
    }

    var peerFingerprint: String? { engine.peerFingerprint }

    var isHandshakeComplete: Bool { engine.isHandshakeComplete }

    /// The frame with the ClientHello.
    func firstFlight() throws -> [UInt8] {
        var records = ByteBuffer()
        try engine.start(output: &records)
        return frame(records.array)
    }

    // MARK: Sending

    /// The bytes of one binary frame with `text` encrypted.
    func encrypted(_ bytes: [UInt8]) throws -> [UInt8] {
        var records = ByteBuffer()
        try bytes.withUnsafeBytes { try engine.write($0, output: &records) }
        return frame(records.array)
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            peer.send(try encrypted(Array(rest.prefix(65_536))))
            rest = rest.dropFirst(65_536)
        }
    }

    func frame(_ payload: [UInt8], _ opcode: Opcode = .binary) -> [UInt8] {
        var out = ByteBuffer()
        encoder.append(opcode, payload: payload.span, to: &out)
        return out.array
    }

    func closeFrame(_ code: CloseCode) -> [UInt8] {
        var out = ByteBuffer()
        encoder.appendClose(code, to: &out)
        return out.array
    }

    func closeNotify() -> [UInt8] {
        var records = ByteBuffer()
        engine.close(output: &records)
        return frame(records.array)
    }

    // MARK: Receiving

    /// Takes what comes next; `false` at the end of the connection.
    func step() throws -> Bool {
        if try decode() { return true }
        guard let piece = peer.receive() else {
            events.append("reset")
            return false
        }
        guard !piece.isEmpty else {
            events.append("fin")
            return false
        }
        undecoded.append(piece)
        _ = try decode()
        return true
    }

    /// Sends a ping and waits for its answer.
    func roundTrip() throws {
        let seen = events.count
        peer.send(frame([0x70], .ping))
        while events.count == seen {
            guard try step() else { throw TestError("no pong") }
        }
    }

    /// Takes bytes that came some other way.
    func take(_ bytes: [UInt8]) throws {
        undecoded.append(bytes)
        _ = try decode()
    }

    private func decode() throws -> Bool {
        var hasProgress = false
        while !undecoded.isEmpty {
            var payload: [UInt8] = []
            let step = try undecoded.withMutableBytes { bytes in
                let step = try decoder.next(bytes)
                switch step.event {
                case .data(let range, _, _, _), .ping(let range), .pong(let range):
                    payload = Array(UnsafeRawBufferPointer(rebasing: bytes[range]))
                default: break
                }
                return step
            }
            undecoded.consume(step.consumed)
            switch step.event {
            case .needMore: return hasProgress
            case .data: try decrypt(payload)
            case .ping: events.append("ping \(String(decoding: payload, as: UTF8.self))")
            case .pong: events.append("pong \(String(decoding: payload, as: UTF8.self))")
            case .close(let code, _): events.append("close \(code?.rawValue ?? 0)")
            }
            hasProgress = true
        }
        return hasProgress
    }

    private func decrypt(_ records: [UInt8]) throws {
        var output = ByteBuffer()
        let wasClosed = engine.isClosed
        let progress = try records.withUnsafeBytes {
            try engine.process($0, plaintext: &plaintext, plaintextLimit: .max, output: &output)
        }
        if !output.isEmpty { peer.send(frame(output.array)) }
        if progress.isClosed && !wasClosed { events.append("close_notify") }
    }

    /// Everything up to the connection's end.
    func runToEnd() throws -> [String] {
        while try step() {}
        return events
    }

    /// Waits for an event.
    func wait(for event: String) throws {
        while !events.contains(event) {
            guard try step() else { throw TestError("\(event) before the end: \(events)") }
        }
    }

    // MARK: Plaintext

    func takePlaintext() -> [UInt8] { take(plaintext.count, as: [UInt8].self) }

    func consume(_ count: Int) { plaintext.consume(count) }

    func take(_ count: Int, as type: [UInt8].Type) -> [UInt8] {
        let bytes = Array(plaintext.array.prefix(count))
        plaintext.consume(bytes.count)
        return bytes
    }

    func putBack(_ bytes: [UInt8]) {
        let rest = plaintext.array
        plaintext.removeAll()
        plaintext.append(bytes)
        plaintext.append(rest)
    }
}
