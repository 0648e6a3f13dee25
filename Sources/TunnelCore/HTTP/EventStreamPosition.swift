/// Whether a `text/event-stream` stands between two events or inside of one (HTML, "Server-sent events").
///
/// Fed with the stream in whatever pieces it comes, it looks at the last four bytes of each and at no other, so its price
/// does not grow with theirs. An event ends with an empty line, and a line ends with LF, CRLF or CR. Where the last byte is
/// a CR that may be half of a CRLF the stream is inside of an event still, until more is known.
package struct EventStreamPosition: Sendable, Equatable {
    /// The last four bytes, the newest lowest. A stream begins as if it stood behind an empty line.
    private var tail: UInt32 = 0x0A0A_0A0A

    package init() {}

    package mutating func take(_ bytes: Span<UInt8>) {
        for index in max(0, bytes.count - 4)..<bytes.count { tail = tail << 8 | UInt32(bytes[index]) }
    }

    /// A comment that is put here changes no event: whatever comes next begins one, or is an empty line more.
    package var isBetweenEvents: Bool {
        let (two, three) = (tail & 0xFFFF, tail & 0xFF_FFFF)
        return two == 0x0A0A || two == 0x0D0D || three == 0x0A_0D0A || three == 0x0D_0D0A
    }
}
