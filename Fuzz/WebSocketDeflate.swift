import TunnelCore

/// Decompresses a message whole and in steps, which must agree; then sends the bytes there and back through both sides.
///
/// The first byte chooses the parameters, the second the length of a step; the rest is the message.
func checkWebSocketDeflate(_ bytes: [UInt8]) {
    guard bytes.count > 2 else { return }
    let message = Array(bytes[2...])
    let step = Int(bytes[1]) + 1
    let small = DeflateParameters(
        serverNoContextTakeover: bytes[0] & 0x80 != 0, serverMaxWindowBits: 8 + Int(bytes[0] & 7))

    // With the largest window, for with a smaller one zlib's strictness depends on how the input is cut.
    let whole = outcome(DeflateParameters(), message, step: message.count)
    precondition(outcome(DeflateParameters(), message, step: step) == whole, "whole and split input disagree")
    for room in [step, 65_536] {
        let bounded = outcome(DeflateParameters(), message, step: message.count, room: room)
        precondition(bounded == whole, "whole and bounded output disagree")
    }
    _ = outcome(small, message, step: step)

    var server = PerMessageDeflate(role: .server, parameters: small)
    var client = PerMessageDeflate(role: .client, parameters: small)
    for _ in 0..<2 {
        var wire = ByteBuffer()
        var back = ByteBuffer()
        do throws(WebSocketError) {
            for start in stride(from: 0, to: message.count, by: step) {
                let end = min(start + step, message.count)
                try server.compress(
                    message.span.extracting(start..<end), endOfMessage: end == message.count, into: &wire)
            }
            try wire.withBytes { sent throws(WebSocketError) in
                try client.decompress(sent, endOfMessage: true, limit: message.count, into: &back)
            }
        } catch { preconditionFailure("our own data is refused: \(error)") }
        precondition(back.array == message, "not what was sent")
    }
}

/// The error's code, if any, and what came out until then.
private struct Outcome: Equatable {
    var code: CloseCode?
    var bytes: [UInt8]
}

private func outcome(
    _ parameters: DeflateParameters, _ message: [UInt8], step: Int, room: Int = .max
) -> Outcome {
    let limit = 100_000
    var deflate = PerMessageDeflate(role: .client, parameters: parameters)
    var output = ByteBuffer()
    var code: CloseCode?
    do throws(WebSocketError) {
        // Twice: the second message may refer to the first.
        for _ in 0..<2 {
            let before = output.count
            for start in stride(from: 0, to: message.count, by: step) {
                let end = min(start + step, message.count)
                var at = start
                while true {
                    let had = output.count
                    let progress = try deflate.decompress(
                        message.span.extracting(at..<end), endOfMessage: end == message.count, limit: limit,
                        atMost: room, into: &output)
                    at += progress.consumed
                    precondition(output.count - had <= room, "more than there was room for")
                    if progress.isDone { break }
                    precondition(output.count - had == room, "stopped for nothing")
                }
                precondition(at == end, "input left over")
            }
            precondition(output.count - before <= limit, "over the limit")
        }
    } catch {
        code = error.code
        precondition(code != .internalError, "zlib failed")
    }
    // What came out before an error depends on how the input was cut.
    return Outcome(code: code, bytes: code == nil ? output.array : [])
}
