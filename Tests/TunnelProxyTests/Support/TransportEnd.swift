import TunnelCore
import TunnelTLS

@testable import TunnelProxy

/// One end of a tunnel that is nothing but values: bytes in, bytes out.
final class TransportEnd {
    private var transport: TunnelTransport
    /// Received and not consumed.
    private(set) var pending: [UInt8] = []
    private var output = ByteBuffer()
    private var plaintext = ByteBuffer()
    /// Whether the last call left whole frames.
    private(set) var hasMore = false

    init(_ transport: consuming TunnelTransport) { self.transport = transport }

    // MARK: Facts

    var end: TunnelEnd? { transport.end }
    var handshakeError: TLSError? { transport.handshakeError }
    var isHandshakeBegun: Bool { transport.isHandshakeBegun }
    var isHandshakeComplete: Bool { transport.isHandshakeComplete }
    var isOpen: Bool { transport.isOpen }
    var awaitsSignature: Bool { transport.awaitsSignature }
    var peerCloseCode: CloseCode? { transport.peerCloseCode }
    var tlsVersion: String { transport.tlsVersion }
    var cipher: String { transport.cipher }
    var isResumed: Bool { transport.isResumed }
    var applicationProtocol: String? { transport.applicationProtocol }
    var peerFingerprint: String? { transport.peerFingerprint }
    var session: TLSClientSession? { transport.session }

    // MARK: In

    /// Gives bytes, and calls again while frames are left.
    func feed(_ bytes: [UInt8], answersPings: Bool = true) {
        step(bytes, answersPings: answersPings)
        while hasMore { step([], answersPings: answersPings) }
    }

    /// Gives bytes in one call.
    func step(_ bytes: [UInt8], answersPings: Bool = true) {
        var all = pending + bytes
        let progress = all.withUnsafeMutableBytes {
            transport.receive($0, answersPings: answersPings, plaintext: &plaintext, output: &output)
        }
        pending = Array(all.dropFirst(progress.consumed))
        hasMore = progress.hasMore
    }

    /// Cut in two.
    func feed(_ bytes: [UInt8], cutAt cut: Int) {
        if cut > 0 { feed(Array(bytes.prefix(cut))) }
        if cut < bytes.count { feed(Array(bytes.dropFirst(cut))) }
    }

    func endInput() { transport.endOfInput() }
    func finish(_ reason: TunnelEnd) { transport.finish(reason) }

    // MARK: Out

    func start() throws { try transport.start(output: &output) }
    func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { transport.write($0, output: &output) } }
    func write(_ text: String) { write(Array(text.utf8)) }
    func ping() { transport.ping(output: &output) }
    func close(_ code: CloseCode = .normal) { transport.close(code, output: &output) }
    func abort(_ code: CloseCode = .normal) { transport.abort(code, output: &output) }

    /// What was said since.
    func said() -> [UInt8] {
        defer { output.removeAll() }
        return output.array
    }

    /// What was read since.
    func read() -> [UInt8] {
        defer { plaintext.removeAll() }
        return plaintext.array
    }

    func readText() -> String { String(decoding: read(), as: UTF8.self) }

    // MARK: The signature

    /// Signs as the other thread would, and goes on.
    ///
    /// - Parameter failure: what signing is to have failed with.
    func sign(failure: TLSError? = nil) throws {
        guard let engine = transport.takeSigner() else { return }
        let job = SigningJob(engine)
        if failure == nil { job.run() }
        back(job, failure: failure)
    }

    func takeJob() -> SigningJob? {
        guard let engine = transport.takeSigner() else { return nil }
        return SigningJob(engine)
    }

    func back(_ job: SigningJob, failure: TLSError? = nil) {
        guard let engine = job.takeEngine() else { return }
        transport.signed(
            engine, flight: job.flight, failure: failure ?? job.failure, plaintext: &plaintext, output: &output)
    }
}

/// Two ends that drive each other.
struct TransportPair {
    let client: TransportEnd
    let server: TransportEnd

    init(
        _ version: TLSVersion = .tls13, _ pair: TestIdentity.Pair? = nil, session: TLSClientSession? = nil,
        context: TLSServerContext? = nil, pauses: Bool = false, deflates: Bool = false, maxFramePayload: Int = 16 << 20
    ) throws {
        let pair = if let pair { pair } else { try TestIdentity.shared.get() }
        let context = if let context { context } else { try TransportPair.context(pair, version) }
        let deflate = deflates ? PerMessageDeflate(role: .server, parameters: DeflateParameters()) : nil
        server = TransportEnd(
            TunnelTransport(
                role: .server, engine: try TLSEngine(server: context, pausesBeforeSigning: pauses), deflate: deflate,
                maxFramePayload: maxFramePayload))
        client = TransportEnd(
            TunnelTransport(
                role: .client,
                engine: try TLSEngine(
                    client: TestIdentity.client(), serverName: TestIdentity.domain, session: session),
                maxFramePayload: maxFramePayload))
    }

    static func context(_ pair: TestIdentity.Pair, _ version: TLSVersion = .tls13) throws -> TLSServerContext {
        try TLSServerContext(
            identity: TLSIdentity(certificates: pair.certificate, privateKey: pair.key),
            options: TLSServerOptions(maxVersion: version, alpn: ["http/1.1"]))
    }

    /// One that has shaken hands.
    static func open(_ version: TLSVersion = .tls13, deflates: Bool = false) throws -> TransportPair {
        let pair = try TransportPair(version, deflates: deflates)
        try pair.client.start()
        pair.exchange()
        return pair
    }

    /// Carries what each has said to the other until both are silent; each flight is cut in two.
    ///
    /// - Returns: the longest flight.
    @discardableResult
    func exchange(cutAt cut: Int = 0) -> Int {
        var longest = 0
        while true {
            let up = client.said()
            server.feed(up, cutAt: cut)
            let down = server.said()
            client.feed(down, cutAt: cut)
            longest = max(longest, up.count, down.count)
            if up.isEmpty && down.isEmpty { return longest }
        }
    }

    var isOpen: Bool { client.isHandshakeComplete && server.isHandshakeComplete }
}

/// A frame as it was on the wire.
struct WireFrame: Equatable {
    let opcode: UInt8
    let isMasked: Bool
    let payload: [UInt8]
    /// With its header.
    let bytes: [UInt8]

    /// All of `bytes`, which are whole frames.
    static func all(_ bytes: [UInt8]) -> [WireFrame] {
        var frames: [WireFrame] = []
        var rest = bytes[...]
        while rest.count >= 2 {
            let start = rest.startIndex
            let (first, second) = (rest[start], rest[start + 1])
            var header = 2
            var length = Int(second & 0x7F)
            let wide = length == 126 ? 2 : length == 127 ? 8 : 0
            if wide > 0 {
                length = rest[(start + 2)..<(start + 2 + wide)].reduce(0) { $0 << 8 | Int($1) }
                header += wide
            }
            var mask: [UInt8] = [0, 0, 0, 0]
            if second & 0x80 != 0 {
                mask = Array(rest[(start + header)..<(start + header + 4)])
                header += 4
            }
            let payload = rest[(start + header)..<(start + header + length)].enumerated().map { $1 ^ mask[$0 & 3] }
            frames.append(
                WireFrame(
                    opcode: first & 0xF, isMasked: second & 0x80 != 0, payload: payload,
                    bytes: Array(rest[start..<(start + header + length)])))
            rest = rest.dropFirst(header + length)
        }
        return frames
    }

    /// Its kind, with the first bytes of what matters: `binary`, `pong abc`, `close 1000`.
    var name: String {
        switch opcode {
        case 2: "binary"
        case 8: "close \(payload.prefix(2).reduce(0) { $0 << 8 | Int($1) })"
        case 9: "ping \(String(decoding: payload, as: UTF8.self))"
        case 10: "pong \(String(decoding: payload, as: UTF8.self))"
        default: "opcode \(opcode)"
        }
    }
}

extension FrameEncoder {
    /// The bytes of one frame.
    mutating func frame(_ payload: [UInt8], _ opcode: Opcode = .binary, isCompressed: Bool = false) -> [UInt8] {
        var out = ByteBuffer()
        append(opcode, isCompressed: isCompressed, payload: payload.span, to: &out)
        return out.array
    }
}
