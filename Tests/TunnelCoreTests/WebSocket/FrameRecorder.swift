import Testing
import TunnelCore

/// What a connection's bytes mean, without regard to how they arrived: adjacent pieces of a message are joined.
enum Record: Equatable {
    case message([UInt8], Opcode, isCompressed: Bool, isWhole: Bool)
    case ping([UInt8]), pong([UInt8])
    case close(CloseCode?, [UInt8])
    case error(CloseCode)
}

/// Feeds a decoder as the proxy does: new bytes behind what was left over, in one area that is decoded in place.
struct FrameRecorder {
    private var decoder: FrameDecoder
    private var area: [UInt8] = []
    private(set) var records: [Record] = []
    private var partial: (bytes: [UInt8], opcode: Opcode, isCompressed: Bool)?
    private var hasFailed = false
    /// Set when a rule of the decoder's own contract was broken.
    private(set) var broken: String?

    init(_ decoder: FrameDecoder) { self.decoder = decoder }

    mutating func feed(_ bytes: some Sequence<UInt8>) {
        guard !hasFailed else { return }
        area += bytes
        while !hasFailed {
            do throws(WebSocketError) {
                let step = try decoder.next(&area)
                record(step.event)
                area.removeFirst(step.consumed)
                if step.event == .needMore {
                    if area.count > FrameDecoder.maxUnconsumed { broken = "\(area.count) bytes left over" }
                    return
                }
            } catch {
                hasFailed = true
                finish()
                records.append(.error(error.code))
            }
        }
    }

    private mutating func record(_ event: FrameDecoder.Event) {
        switch event {
        case .needMore: break
        case .data(let range, let opcode, let isCompressed, let endOfMessage):
            if range.isEmpty, !endOfMessage { broken = "empty piece" }
            var message = partial ?? ([], opcode, isCompressed)
            if message.opcode != opcode || message.isCompressed != isCompressed { broken = "message changed its kind" }
            message.bytes += area[range]
            partial = message
            if endOfMessage {
                records.append(.message(message.bytes, opcode, isCompressed: isCompressed, isWhole: true))
                partial = nil
            }
        case .ping(let range): records.append(.ping(Array(area[range])))
        case .pong(let range): records.append(.pong(Array(area[range])))
        case .close(let code, let reason): records.append(.close(code, Array(area[reason])))
        }
    }

    /// Records what there is of a message that did not end.
    mutating func finish() {
        guard let message = partial else { return }
        records.append(
            .message(message.bytes, message.opcode, isCompressed: message.isCompressed, isWhole: false))
        partial = nil
    }

    /// The records of `bytes` cut at `splits`, which are ascending.
    static func records(_ decoder: FrameDecoder, _ bytes: [UInt8], splits: [Int] = []) -> [Record] {
        var recorder = FrameRecorder(decoder)
        var start = 0
        for end in splits + [bytes.count] {
            recorder.feed(bytes[start..<end])
            start = end
        }
        recorder.finish()
        if let broken = recorder.broken { Issue.record("\(broken)") }
        return recorder.records
    }
}

extension FrameDecoder {
    /// The next event in an array, decoded in place.
    mutating func next(_ bytes: inout [UInt8]) throws(WebSocketError) -> Step {
        var span = bytes.mutableSpan
        return try span.withUnsafeMutableBytes { room throws(WebSocketError) in try next(room) }
    }
}

/// One frame's bytes; masked with a key of unlike bytes when a client sends it.
func frame(
    _ opcode: Opcode, _ payload: [UInt8] = [], isFinal: Bool = true, isCompressed: Bool = false,
    from sender: WebSocketRole = .client
) -> [UInt8] {
    let key = MaskingKey(0x37, 0xFA, 0x21, 0x3D)
    var bytes = ByteBuffer()
    FrameHeader(
        opcode, isFinal: isFinal, isCompressed: isCompressed, payloadLength: payload.count,
        mask: sender == .client ? key : nil
    ).encode(into: &bytes)
    var payload = payload
    if sender == .client { payload.withUnsafeMutableBytes { applyMask(key, to: $0) } }
    return bytes.array + payload
}
