/// Builds one line of the log after the other in its own memory: `begin`, any number of `field`s, `end`.
///
/// In text, `2026-11-21T01:02:03.456Z INFO request started route=echo method=POST`: a value is quoted when it is empty or
/// has a space, a quote, `=` or anything but printable ASCII. In JSON, `{"time":…,"level":"INFO","msg":…,"route":…}`
/// with numbers and booleans as such. Nothing that a peer sends can end the line (`EscapedText`). A message is written
/// without quotes and as it is; only what is not printable is escaped in it.
///
/// Allocates only while its memory grows to the longest line.
public struct LogLine: ~Copyable, Sendable {
    /// Bytes of a value that are written; `…` stands for the rest.
    public static let maxValueBytes = 1_024
    /// Bytes of a message that are written; `…` stands for the rest. Much larger, as messages are the program's own.
    public static let maxMessageBytes = 8_192
    /// Memory that an unused line keeps. A longer line is rare and gives its memory back.
    static let maxKeptBytes = 16_384

    public let format: LogFormat
    private var buffer = ByteBuffer(capacity: 512)
    private var timestamp = TimestampWriter()

    package init(format: LogFormat) { self.format = format }

    /// Drops the line before and begins a new one.
    package mutating func begin(_ level: LogLevel, at time: UnixTime, _ message: String) {
        buffer.removeAll()
        if buffer.capacity > Self.maxKeptBytes { buffer.release() }
        let isJSON = format == .json
        if isJSON { buffer.append("{\"time\":\"" as StaticString) }
        timestamp.append(time, to: &buffer)
        if isJSON { buffer.append("\",\"level\":\"" as StaticString) } else { buffer.append(UInt8(ascii: " ")) }
        buffer.append(level.label)
        if isJSON { buffer.append("\",\"msg\":\"" as StaticString) } else { buffer.append(UInt8(ascii: " ")) }
        var message = message
        message.withUTF8 { bytes in
            EscapedText.append(bytes.span, isJSON ? .json : .message, limit: Self.maxMessageBytes, to: &buffer)
        }
        if isJSON { buffer.append(UInt8(ascii: "\"")) }
    }

    /// Ends the line with a newline. Nothing may follow but `begin`.
    package mutating func end() {
        if format == .json { buffer.append(UInt8(ascii: "}")) }
        buffer.append(UInt8(ascii: "\n"))
    }

    /// The level of a line that one of these has built, without its newline; `nil` for any other text.
    package static func level(of line: Span<UInt8>) -> LogLevel? {
        // Both forms have it at a fixed place: behind the time, and behind the names of the first two fields.
        let isJSON = line.count > 0 && line[0] == UInt8(ascii: "{")
        let start = TimestampWriter.byteCount + (isJSON ? 20 : 1)
        guard line.count > start + 1 else { return nil }
        switch (line[start], line[start + 1]) {
        case (UInt8(ascii: "D"), UInt8(ascii: "E")): return .debug
        case (UInt8(ascii: "I"), UInt8(ascii: "N")): return .info
        case (UInt8(ascii: "W"), UInt8(ascii: "A")): return .warn
        case (UInt8(ascii: "E"), UInt8(ascii: "R")): return .error
        default: return nil
        }
    }

    /// Reads the line in place.
    package func withBytes<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        try buffer.withBytes(body)
    }
}

/// A key is the program's own and written as it is: lower case, digits and underscores.
extension LogLine {
    public mutating func field(_ key: StaticString, _ value: String) {
        var value = value
        value.withUTF8 { field(key, $0.span) }
    }

    /// Bytes as a peer sent them; they need not be UTF-8.
    public mutating func field(_ key: StaticString, _ value: Span<UInt8>) {
        appendKey(key)
        if format == .text, value.count <= Self.maxValueBytes, EscapedText.isBare(value) {
            buffer.append(value)
            return
        }
        buffer.append(UInt8(ascii: "\""))
        EscapedText.append(value, format == .json ? .json : .quoted, limit: Self.maxValueBytes, to: &buffer)
        buffer.append(UInt8(ascii: "\""))
    }

    public mutating func field(_ key: StaticString, _ value: Int) {
        appendKey(key)
        if value < 0 { buffer.append(UInt8(ascii: "-")) }
        buffer.append(decimal: UInt64(value.magnitude))
    }

    public mutating func field(_ key: StaticString, _ value: UInt64) {
        appendKey(key)
        buffer.append(decimal: value)
    }

    public mutating func field(_ key: StaticString, _ value: Bool) {
        appendKey(key)
        if value { buffer.append("true" as StaticString) } else { buffer.append("false" as StaticString) }
    }

    /// A duration in milliseconds with three decimals (`12.345`); a number in JSON. End the key in `_ms`.
    public mutating func field(_ key: StaticString, milliseconds value: Duration) {
        appendKey(key)
        let (seconds, attoseconds) = value.components
        // Held to 290,000 years, so that microseconds fit. Both parts of a duration have the same sign.
        let held = min(max(seconds, -9_000_000_000_000), 9_000_000_000_000)
        let micros = held * 1_000_000 + attoseconds / 1_000_000_000_000
        if micros < 0 { buffer.append(UInt8(ascii: "-")) }
        appendMilliseconds(micros: micros.magnitude)
    }

    /// The same for a time in nanoseconds, which costs no division of 128 bits.
    package mutating func field(_ key: StaticString, nanoseconds value: UInt64) {
        appendKey(key)
        appendMilliseconds(micros: value / 1_000)
    }

    private mutating func appendMilliseconds(micros: UInt64) {
        buffer.append(decimal: micros / 1_000)
        buffer.append(UInt8(ascii: "."))
        let rest = micros % 1_000
        buffer.append(UInt8(truncatingIfNeeded: rest / 100) + 0x30)
        buffer.append(UInt8(truncatingIfNeeded: rest / 10 % 10) + 0x30)
        buffer.append(UInt8(truncatingIfNeeded: rest % 10) + 0x30)
    }

    public mutating func field(_ key: StaticString, _ value: IPAddress) {
        appendKey(key)
        if format == .json { buffer.append(UInt8(ascii: "\"")) }
        value.append(to: &buffer)
        if format == .json { buffer.append(UInt8(ascii: "\"")) }
    }

    /// An address and port: `10.0.0.1:80` or `[fd00::1]:80`.
    public mutating func field(_ key: StaticString, _ address: IPAddress, port: UInt16) {
        appendKey(key)
        if format == .json { buffer.append(UInt8(ascii: "\"")) }
        if !address.isIPv4 { buffer.append(UInt8(ascii: "[")) }
        address.append(to: &buffer)
        if !address.isIPv4 { buffer.append(UInt8(ascii: "]")) }
        buffer.append(UInt8(ascii: ":"))
        buffer.append(decimal: UInt64(port))
        if format == .json { buffer.append(UInt8(ascii: "\"")) }
    }

    private mutating func appendKey(_ key: StaticString) {
        let text = UnsafeRawBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount)
        if format == .text {
            // In one piece, because a line has some ten of them.
            _ = buffer.append(atMost: text.count + 2) { room in
                guard let start = room.baseAddress, let key = text.baseAddress else { return 0 }
                start.storeBytes(of: UInt8(ascii: " "), as: UInt8.self)
                (start + 1).copyMemory(from: key, byteCount: text.count)
                (start + 1 + text.count).storeBytes(of: UInt8(ascii: "="), as: UInt8.self)
                return room.count
            }
        } else {
            buffer.append(",\"" as StaticString)
            buffer.append(text)
            buffer.append("\":" as StaticString)
        }
    }
}
