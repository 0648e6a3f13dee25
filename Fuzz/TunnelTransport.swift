import TunnelCore
import TunnelProxy
import TunnelTLS

/// The bytes of a far side after the upgrade: two ends of a tunnel, and somebody on the way between them who holds no key.
///
/// The first byte chooses who is listened to and whether TLS is set up before, the second the length of a step; the rest is
/// a script: what the honest end says, and what the other does to it. Whatever he does, the listener gets a beginning of
/// what was said and nothing else, says nothing malformed, and hears what is whole the same in any pieces.
func checkTunnelTransport(_ bytes: [UInt8]) {
    guard bytes.count > 2, bytes.count < 4_096 else { return }
    let script = Script(bytes)
    guard let whole = script.play(step: .max), script.isRepeatable, let cut = script.play(step: script.step) else {
        return
    }
    precondition(cut == whole, "whole and split input disagree: \(whole), \(cut)")
}

private struct Outcome: Equatable {
    var plaintext: [UInt8] = []
    /// Without the words for a failure: of several faults, which is seen first depends on the pieces.
    var end: TunnelEnd?
    var isInputWhole = false
    var isOpen = true
    var peerCloseCode: CloseCode?
}

private struct Script {
    let isServers: Bool
    let isEstablished: Bool
    let deflates: Bool
    let step: Int
    private let actions: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) {
        isServers = bytes[0] & 1 == 0
        isEstablished = bytes[0] & 2 == 0
        deflates = bytes[0] & 4 != 0
        step = Int(bytes[1]) + 1
        actions = bytes[2...]
    }

    /// Whether two plays are the same: not when bytes that differ from session to session are read as something else than
    /// what they are.
    var isRepeatable: Bool {
        // A server that has not been greeted says nothing that differs.
        let isAllHis = !isServers && !isEstablished
        var rest = actions
        while let kind = rest.popFirst() {
            let count = Int(rest.popFirst() ?? 0)
            switch kind & 7 {
            case 5, 6: return isAllHis
            case 4: return isAllHis || rest.count <= count
            case 3 where isServers && !isEstablished: return false
            case 0, 3: rest = rest.dropFirst(count)
            default: break
            }
        }
        return true
    }

    /// What the listener makes of it; `nil` when there is no memory for a session.
    func play(step: Int) -> Outcome? {
        guard let contexts = Script.contexts else { preconditionFailure("the certificate of the test is broken") }
        guard let server = try? TLSEngine(server: contexts.server),
            let client = try? TLSEngine(client: contexts.client, serverName: FuzzIdentity.serverName)
        else { return nil }
        let deflate = deflates ? PerMessageDeflate(role: .server, parameters: DeflateParameters()) : nil
        let ends = [
            End(.server, TunnelTransport(role: .server, engine: server, deflate: deflate, maxFramePayload: 100_000)),
            End(.client, TunnelTransport(role: .client, engine: client, maxFramePayload: 100_000)),
        ]
        let (listener, speaker) = isServers ? (ends[0], ends[1]) : (ends[1], ends[0])
        ends[1].start()
        if isEstablished {
            while ends.contains(where: { $0.hasOutput }) {
                ends[0].receive(ends[1].takeOutput(), step: .max)
                ends[1].receive(ends[0].takeOutput(), step: .max)
            }
            precondition(ends.allSatisfy { $0.transport.isHandshakeComplete }, "honest ends that do not agree")
        }
        var said: [UInt8] = []
        var flight = speaker.takeOutput()
        var isOver = false
        var encoder = FrameEncoder(role: isServers ? .client : .server)
        var rest = actions
        while let kind = rest.popFirst() {
            let count = Int(rest.popFirst() ?? 0)
            switch kind & 7 {
            case 0:
                let data = Array(rest.prefix(count))
                rest = rest.dropFirst(count)
                // Some of it long, for more than one record.
                let words = kind & 8 == 0 ? data : Array((0..<200).map { _ in data }.joined())
                if speaker.transport.isOpen, speaker.transport.end == nil { said += words }
                speaker.write(words)
            case 1: speaker.ping()
            case 2: speaker.close(kind & 8 == 0 ? .goingAway : .normal, inOrder: kind & 16 == 0)
            case 3:
                // A frame that he made himself.
                let data = Array(rest.prefix(count))
                rest = rest.dropFirst(count)
                var frame = ByteBuffer()
                let opcode = Opcode(rawValue: kind >> 4) ?? .binary
                let payload = opcode.isControl ? Array(data.prefix(125)) : data
                let isCompressed = kind & 8 != 0 && !opcode.isControl && opcode != .continuation
                let sent = isCompressed && deflates ? Script.compressed(payload) : payload
                encoder.append(opcode, isCompressed: isCompressed, payload: sent.span, to: &frame)
                flight += speaker.takeOutput() + frame.array
                continue
            case 4:
                // Bytes that are no frame, perhaps.
                flight += speaker.takeOutput() + rest.prefix(count)
                rest = rest.dropFirst(count)
                continue
            case 5:
                flight += speaker.takeOutput()
                if !flight.isEmpty { flight[(count << 2 | Int(kind >> 6)) % flight.count] ^= kind | 1 }
                continue
            case 6:
                flight += speaker.takeOutput()
                flight.removeLast(min(flight.count, count))
                continue
            case 7 where kind & 8 != 0:
                // The listener has heard enough, in the middle of what is said.
                listener.receive(flight + speaker.takeOutput(), step: step)
                flight = []
                listener.close(kind & 16 == 0 ? .goingAway : .normal, inOrder: kind & 32 == 0)
                continue
            default: isOver = true
            }
            flight += speaker.takeOutput()
        }
        listener.receive(flight, step: step)
        if isOver { listener.endInput() }
        return outcome(of: listener, said, isOver)
    }

    private func outcome(of listener: End, _ said: [UInt8], _ isOver: Bool) -> Outcome {
        let plaintext = listener.plaintext
        precondition(said.starts(with: plaintext), "plaintext that nobody said")
        precondition(isEstablished || plaintext.isEmpty, "plaintext before there are keys")
        precondition(!isOver || listener.transport.end != nil, "a connection that is over and has no end")
        precondition(!listener.transport.isInputWhole || listener.transport.end != nil, "whole without an end")
        listener.checkSaid(isCutOff: isOver)
        let end: TunnelEnd? = if case .failed? = listener.transport.end { .failed("") } else { listener.transport.end }
        return Outcome(
            plaintext: plaintext, end: end, isInputWhole: listener.transport.isInputWhole,
            isOpen: listener.transport.isOpen, peerCloseCode: listener.transport.peerCloseCode)
    }

    private static func compressed(_ data: [UInt8]) -> [UInt8] {
        var deflate = PerMessageDeflate(role: .client, parameters: DeflateParameters(clientNoContextTakeover: true))
        var output = ByteBuffer()
        try? deflate.compress(data.span, endOfMessage: true, into: &output)
        return output.array
    }

    private static let contexts = try? (server: FuzzIdentity.server(), client: FuzzIdentity.client())
}

/// One end, and all that it ever said.
private final class End {
    private let role: WebSocketRole
    private(set) var transport: TunnelTransport
    private var output = ByteBuffer()
    private var received = ByteBuffer()
    /// What `receive` was given and did not consume.
    private var pending: [UInt8] = []
    private var said: [UInt8] = []

    init(_ role: WebSocketRole, _ transport: consuming TunnelTransport) {
        self.role = role
        self.transport = transport
    }

    var hasOutput: Bool { !output.isEmpty }
    var plaintext: [UInt8] { received.array }

    func takeOutput() -> [UInt8] {
        defer { output.removeAll() }
        said += output.array
        return output.array
    }

    func start() {
        do throws(TLSError) { try transport.start(output: &output) } catch {
            preconditionFailure("a client that cannot begin: \(error)")
        }
    }

    func receive(_ bytes: [UInt8], step: Int) {
        var rest = bytes[...]
        // Who has closed says no more, so he listens to no more.
        let heard = transport.isOpen ? nil : plaintext
        defer { precondition(heard == nil || heard == plaintext, "plaintext behind our own end") }
        while !rest.isEmpty {
            pending += rest.prefix(step)
            rest = rest.dropFirst(step)
            var hasMore = true
            while hasMore {
                let progress = pending.withUnsafeMutableBytes {
                    transport.receive($0, plaintext: &received, output: &output)
                }
                precondition((0...pending.count).contains(progress.consumed), "consumed what was not there")
                precondition(!progress.hasMore || progress.consumed > 0, "a turn without progress")
                pending.removeFirst(progress.consumed)
                hasMore = progress.hasMore
            }
            precondition(pending.count <= FrameDecoder.maxUnconsumed, "too much left over")
        }
    }

    func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { transport.write($0, output: &output) } }
    func ping() { transport.ping(output: &output) }
    func endInput() { transport.endOfInput() }

    func close(_ code: CloseCode, inOrder: Bool) {
        if inOrder { transport.close(code, output: &output) } else { transport.abort(code, output: &output) }
    }

    /// Whole frames of the kinds that a tunnel has, and nothing behind a Close frame. An end that is over stays silent.
    func checkSaid(isCutOff: Bool) {
        _ = takeOutput()
        if !transport.isOpen {
            write([1, 2, 3])
            ping()
            close(.normal, inOrder: true)
            precondition(output.isEmpty, "words after the end")
        }
        var decoder = FrameDecoder(
            role: role == .server ? .client : .server, maxFramePayload: 1 << 20, allowsCompression: false)
        var rest = said
        var isClosed = false
        do throws(WebSocketError) {
            while !rest.isEmpty {
                var span = rest.mutableSpan
                let next = try decoder.next(in: &span)
                switch next.event {
                case .needMore: preconditionFailure("half a frame")
                case .data(_, let opcode, _, _): precondition(opcode == .binary && !isClosed, "data behind the end")
                case .ping, .pong: precondition(!isClosed, "a frame behind the end")
                case .close:
                    precondition(!isClosed, "two ends")
                    isClosed = true
                }
                rest.removeFirst(next.consumed)
            }
        } catch { preconditionFailure("what we send is malformed: \(error)") }
        precondition(transport.isOpen != isClosed || isCutOff && !isClosed, "an end that was not said")
    }
}
