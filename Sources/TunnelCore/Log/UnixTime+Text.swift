extension UnixTime: CustomStringConvertible {
    /// For example `2026-11-21T01:02:03.456Z` (RFC 3339).
    public var description: String {
        var buffer = ByteBuffer()
        var writer = TimestampWriter()
        writer.append(self, to: &buffer)
        return String(decoding: buffer.array, as: UTF8.self)
    }

    /// For example `2026-11-21T01:02:03Z`.
    package var toTheSecond: String { "\(description.prefix(19))Z" }
}
