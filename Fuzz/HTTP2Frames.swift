import TunnelCore

/// A stream of frames, whole and in steps: both must tell the same story.
///
/// The first byte chooses the role, the second the length of a step; the rest is the stream.
func checkHTTP2Frames(_ bytes: [UInt8]) {
    guard bytes.count > 2 else { return }
    let decoder = HTTP2FrameDecoder(isServer: bytes[0] & 1 == 0, maxContinuations: 4, maxSettings: 8)
    let stream = Array(bytes[2...])
    let whole = frameStory(decoder, stream, step: stream.count)
    for step in Set([1, Int(bytes[1]) + 1]) {
        precondition(frameStory(decoder, stream, step: step) == whole, "whole and split input disagree")
    }
}

private func frameStory(_ decoder: HTTP2FrameDecoder, _ stream: [UInt8], step: Int) -> [String] {
    var decoder = decoder
    var lines: [String] = []
    var area: [UInt8] = []
    var payload: [UInt8] = []
    var fed = 0
    do throws(HTTP2Error) {
        while fed < stream.count {
            let count = min(step, stream.count - fed)
            // A copy of exactly these bytes: reading past them is seen by the sanitizer.
            area = area + stream[fed..<fed + count]
            fed += count
            var position = 0
            while true {
                let before = position
                let event = try decoder.next(in: area.span, at: &position)
                precondition(position >= before && position <= area.count, "consumed what was not there")
                if event == .needMore { break }
                switch event {
                case .payload(let range, let isEnd), .fragment(let range, let isEnd):
                    payload += area[range]
                    if isEnd {
                        lines.append("\(payload)")
                        payload = []
                    }
                case .priorityUpdate(let stream, let range): lines.append("update \(stream) \(area[range])")
                default: lines.append("\(event)")
                }
            }
            area.removeFirst(position)
            precondition(area.count <= HTTP2FrameDecoder.maxUnconsumed, "too much left over")
        }
    } catch { lines.append("\(payload) error \(error.code)") }
    return lines
}
