import TunnelCore

/// Feeds a stream of frames whole and in steps, decoded in place as the proxy does it: both must tell the same story.
///
/// The first byte chooses role and compression, the second the length of a step; the rest is the stream.
func checkWebSocketFrames(_ bytes: [UInt8]) {
    guard bytes.count > 2 else { return }
    let decoder = FrameDecoder(
        role: bytes[0] & 1 == 0 ? .server : .client, maxFramePayload: 4096, allowsCompression: bytes[0] & 2 != 0)
    let stream = Array(bytes[2...])
    let whole = FrameStory(decoder, stream, step: stream.count)
    for step in Set([1, Int(bytes[1]) + 1]) {
        let cut = FrameStory(decoder, stream, step: step)
        precondition(cut.lines == whole.lines, "whole and split input disagree")
    }
}

/// What a stream said. Pieces of one message are joined, since where they are cut is up to the reads.
private struct FrameStory {
    private(set) var lines: [[UInt8]] = []
    private var message: [UInt8] = []

    init(_ decoder: FrameDecoder, _ stream: [UInt8], step: Int) {
        var decoder = decoder
        var area: [UInt8] = []
        var fed = 0
        do throws(WebSocketError) {
            while fed < stream.count {
                let count = min(step, stream.count - fed)
                area += stream[fed..<fed + count]
                fed += count
                while true {
                    var span = area.mutableSpan
                    let next = try decoder.next(in: &span)
                    precondition(next.consumed >= 0 && next.consumed <= area.count, "consumed what was not there")
                    record(next.event, area)
                    area.removeFirst(next.consumed)
                    if next.event == .needMore { break }
                    precondition(next.consumed > 0, "an event out of nothing")
                }
                precondition(area.count <= FrameDecoder.maxUnconsumed, "too much left over")
            }
            lines.append(message)
        } catch {
            lines.append(message)
            lines.append([0xEE, UInt8(truncatingIfNeeded: error.code.rawValue)])
        }
    }

    private mutating func record(_ event: FrameDecoder.Event, _ area: [UInt8]) {
        switch event {
        case .needMore: break
        case .data(let range, let opcode, let isCompressed, let endOfMessage):
            precondition(opcode == .text || opcode == .binary, "not a message")
            precondition(!range.isEmpty || endOfMessage, "empty piece")
            if message.isEmpty { message = [opcode.rawValue, isCompressed ? 1 : 0] }
            message += area[range]
            if endOfMessage {
                lines.append(message)
                message = []
            }
        case .ping(let range): lines.append([9] + area[range])
        case .pong(let range): lines.append([10] + area[range])
        case .close(let code, let reason):
            precondition(code?.isValidOnTheWire ?? true, "close code that may not travel")
            lines.append([8, UInt8(truncatingIfNeeded: code?.rawValue ?? 0)] + area[reason])
        }
    }
}
