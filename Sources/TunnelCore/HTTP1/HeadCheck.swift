extension Span<UInt8> {
    /// Whether the bytes are one head of HTTP/1 and nothing else, as a reader of any strictness sees it: lines that each end
    /// with CRLF, an empty one at the end and none before it, none that begins with white space, and no other control byte
    /// but HTAB.
    ///
    /// For a head that was made of another version's fields: the decoder of HTTP/2 has refused all else already, and this is
    /// the second lock on that door (RFC 9113 §8.2.1, §10.3).
    package var isOneHead: Bool {
        var position = 0
        var lineStart = 0
        while position < count {
            if position + 8 <= count, !hasControlByte(at: position) {
                if position == lineStart, isWhiteSpace(position) { return false }
                position += 8
                continue
            }
            let byte = self[position]
            if position == lineStart, isWhiteSpace(position) { return false }
            if byte >= 0x20 && byte != 0x7F || byte == HTTPByte.tab {
                position += 1
                continue
            }
            guard byte == HTTPByte.carriageReturn, position + 1 < count, self[position + 1] == HTTPByte.lineFeed else {
                return false
            }
            let isEmpty = position == lineStart
            position += 2
            if isEmpty { return lineStart > 0 && position == count }
            lineStart = position
        }
        return false
    }

    private func isWhiteSpace(_ position: Int) -> Bool {
        self[position] == HTTPByte.space || self[position] == HTTPByte.tab
    }

    /// Whether one of the eight bytes from there on is below 0x20 or 0x7F. They must be there.
    private func hasControlByte(at position: Int) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let word = bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
        let delete = word ^ (ones &* 0x7F)
        let isLow = (word &- ones &* 0x20) & ~word
        let isDelete = (delete &- ones) & ~delete
        return (isLow | isDelete) & (ones &* 0x80) != 0
    }
}
