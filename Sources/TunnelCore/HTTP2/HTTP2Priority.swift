/// How urgent a response is, and whether parts of it are of use (RFC 9218 §4).
public struct HTTP2Priority: Sendable, Equatable {
    /// 0...7, the smaller the sooner.
    public var urgency = 3
    /// Given bytes in turn with others of its urgency. Without a word of the client we do so too: event streams and downloads
    /// come without one, and none is to wait for the other (§10 leaves that to the server).
    public var isIncremental = true

    public init() {}

    /// Reads a field value as that of Priority, a dictionary (RFC 8941 §3.2). What is not understood is passed over.
    public init(_ value: Span<UInt8>) {
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
