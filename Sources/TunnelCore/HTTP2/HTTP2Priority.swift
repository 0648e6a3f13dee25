/// How urgent a response is, and whether parts of it are of use (RFC 9218 §4).
package struct HTTP2Priority: Sendable, Equatable {
    /// 0...7, the smaller the sooner.
    package var urgency = 3
    /// Given bytes in turn with others of its urgency. Without a word of the client we do so too: event streams and downloads
    /// come without one, and none is to wait for the other (§10 leaves that to the server).
    package var isIncremental = true

    package init() {}

    /// Reads a field value as that of Priority, a dictionary (RFC 8941 §3.2). What is not understood is passed over.
    package init(_ value: Span<UInt8>) {
        var list = TokenList(0..<value.count)
        var isSaid = false
        var incremental = false
        while let element = list.next(in: value) {
            var end = element.lowerBound
            while end < element.upperBound, value[end] != HTTPByte.semicolon { end += 1 }
            let member = value.trimmed(element.lowerBound..<end)
            if member.count == 3, value.matches(member.prefix(2), "u="),
                let digit = value[member.lowerBound + 2].decimalDigit,
                digit <= 7
            {
                (urgency, isSaid) = (Int(digit), true)
            } else if value.matches(member, "i") || value.matches(member, "i=?1") {
                (incremental, isSaid) = (true, true)
            } else if value.matches(member, "i=?0") {
                (incremental, isSaid) = (false, true)
            }
        }
        if isSaid { isIncremental = incremental }
    }
}

/// What PRIORITY_UPDATE said of streams that are not open yet (RFC 9218 §7.1): the frame may be ahead of the request, whose own
/// field it then overrides. The last few are kept; who sends more loses the order of some responses, nothing else.
struct HTTP2EarlyPriorities: Sendable {
    static let kept = 8

    private var entries = InlineArray<8, (stream: UInt32, priority: HTTP2Priority)>(repeating: (0, HTTP2Priority()))
    private var next = 0

    mutating func keep(_ priority: HTTP2Priority, of stream: UInt32) {
        for i in 0..<Self.kept where entries[i].stream == stream {
            entries[i].priority = priority
            return
        }
        entries[next] = (stream, priority)
        next = (next + 1) % Self.kept
    }

    /// Takes out what was said of a stream that opens.
    mutating func take(_ stream: UInt32) -> HTTP2Priority? {
        for i in 0..<Self.kept where entries[i].stream == stream {
            entries[i].stream = 0
            return entries[i].priority
        }
        return nil
    }
}
