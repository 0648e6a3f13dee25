/// Finds the events of the upstream in a stream, whatever chunks they came in.
enum EventScan {
    /// An event is `data: `, twenty digits, filler and an empty line.
    static let prefix = Array("data: ".utf8)
    static let digits = 20

    /// Calls `event` with each whole time stamp.
    ///
    /// - Returns: how many bytes are done with; the rest may be the start of an event.
    static func scan(_ bytes: UnsafeRawBufferPointer, _ event: (UInt64) -> Void) -> Int {
        let needed = prefix.count + digits
        var position = 0
        while position < bytes.count {
            guard bytes[position] == prefix[0] else {
                position += 1
                continue
            }
            guard bytes.count - position >= needed else { return position }
            if let value = value(bytes, position) {
                event(value)
                position += needed
            } else {
                position += 1
            }
        }
        return position
    }

    private static func value(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> UInt64? {
        for (offset, byte) in prefix.enumerated() where bytes[start + offset] != byte { return nil }
        var value: UInt64 = 0
        for byte in bytes[(start + prefix.count)..<(start + prefix.count + digits)] {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value &* 10 &+ UInt64(byte &- 0x30)
        }
        return value
    }
}
