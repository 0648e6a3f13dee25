import Testing
import TunnelCore

/// Where a comment may be put into an event stream, held against a reader that follows the HTML standard word by word.
@Suite struct EventStreamPositionTests {
    static let streams = [
        "data: a\n\ndata: b\n\n", "data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\rdata: b\r\r",
        "event: message\r\nid: 3\r\ndata: {\"a\":\"\\n\"}\r\n\r\n: ping\r\n\r\ndata: b\ndata: c\n\n",
        "data: a\r\n\ndata: b\n\r\ndata: c\r\n\r", "\n\n\r\n\rdata: a\r\r\ndata: b\n\rdata: c\n\n\n\n",
        ":\n\n:\n\ndata\n\ndata:\n\nretry: 3\n\ndata: é\n\ndata: not ended", "", "\r", "\n", "\r\n", "data: a\n",
    ]

    /// The data of each event that a stream holds.
    private func events(_ stream: [UInt8]) -> [String] {
        var (events, data, line) = ([String](), [String](), [UInt8]())
        func end() {
            let text = String(decoding: line, as: UTF8.self)
            line = []
            if text.isEmpty {
                if !data.isEmpty { events.append(data.joined(separator: "\n")) }
                data = []
            } else if text == "data" {
                data.append("")
            } else if text.hasPrefix("data:") {
                data.append(String(text.dropFirst(text.hasPrefix("data: ") ? 6 : 5)))
            }
        }
        for (index, byte) in stream.enumerated() {
            let isSecondHalf = byte == 0x0A && index > 0 && stream[index - 1] == 0x0D
            if byte == 0x0D || byte == 0x0A { if !isSecondHalf { end() } } else { line.append(byte) }
        }
        return events
    }

    private func position(_ pieces: [ArraySlice<UInt8>]) -> EventStreamPosition {
        var position = EventStreamPosition()
        for piece in pieces { position.take(Array(piece).span) }
        return position
    }

    @Test(arguments: streams) func aCommentWhereItMayBeChangesNoEvent(_ text: String) {
        let stream = Array(text.utf8)
        for end in 0...stream.count where position([stream[..<end]]).isBetweenEvents {
            let commented = stream[..<end] + ": keep-alive\n\n".utf8 + stream[end...]
            #expect(events(Array(commented)) == events(stream), "after \(end) bytes of \(text.debugDescription)")
        }
    }

    /// Inside of an event it never says so, and behind each one it does, unless the line's end may not be whole.
    @Test(arguments: streams) func everyEndOfAnEventIsFoundAndNoOther(_ text: String) {
        let stream = Array(text.utf8)
        for end in 0...stream.count {
            let before = stream[..<end]
            let lineEnds = before.last.map { $0 == 0x0A || $0 == 0x0D } ?? true
            // Nothing of an event is pending where a line that follows stands alone.
            let isWhole = lineEnds && events(before + Array("data: x\n\n".utf8)) == events(Array(before)) + ["x"]
            let endsEmptyLine = isWhole && Self.endsWithEmptyLine(Array(before))
            if position([before]).isBetweenEvents {
                #expect(endsEmptyLine, "after \(end) bytes of \(text.debugDescription)")
            } else if before.last != 0x0D || before.suffix(2) == [0x0D, 0x0D] {
                #expect(!endsEmptyLine, "after \(end) bytes of \(text.debugDescription)")
            }
        }
    }

    /// The last line is empty; so is a stream that has not begun.
    private static func endsWithEmptyLine(_ bytes: [UInt8]) -> Bool {
        var (isEmptyLine, length) = (true, 0)
        for (index, byte) in bytes.enumerated() {
            if byte == 0x0A, index > 0, bytes[index - 1] == 0x0D { continue }
            if byte == 0x0A || byte == 0x0D {
                isEmptyLine = length == 0
                length = 0
            } else {
                (isEmptyLine, length) = (false, length + 1)
            }
        }
        return isEmptyLine
    }

    @Test(arguments: streams) func anySplitGivesTheSamePosition(_ text: String) {
        let stream = Array(text.utf8)
        for end in 0...stream.count {
            let whole = position([stream[..<end]])
            for split in 0...end { #expect(position([stream[..<split], stream[split..<end]]) == whole) }
            #expect(position((0..<end).map { stream[$0...$0] }) == whole)
        }
    }
}
