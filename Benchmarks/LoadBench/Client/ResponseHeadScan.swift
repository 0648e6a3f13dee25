/// What the load client must know of an HTTP/1.1 answer's head. It trusts its own servers and checks little.
struct ResponseHeadScan {
    /// Bytes up to and with the empty line.
    var size: Int
    var status: Int
    /// `nil` for chunked answers and those that end with the connection.
    var contentLength: Int?

    /// `nil` while the head is not whole.
    static func scan(_ bytes: UnsafeRawBufferPointer) -> ResponseHeadScan? {
        guard let size = endOfHead(bytes), size > 12 else { return nil }
        var status = 0
        for index in 9..<12 { status = status * 10 + Int(bytes[index] &- 0x30) }
        return ResponseHeadScan(size: size, status: status, contentLength: contentLength(bytes, size))
    }

    static func endOfHead(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard bytes.count >= 4 else { return nil }
        var index = 3
        while index < bytes.count {
            if bytes[index] == 0x0A && bytes[index - 2] == 0x0A && bytes[index - 1] == 0x0D { return index + 1 }
            index += 1
        }
        return nil
    }

    private static let lengthName = Array("\ncontent-length:".utf8)

    /// The value of Content-Length in the first `size` bytes.
    static func contentLength(_ bytes: UnsafeRawBufferPointer, _ size: Int) -> Int? {
        var start = 0
        while start + lengthName.count < size {
            if bytes[start] == 0x0A && matches(bytes, start) {
                var value = 0
                for byte in bytes[(start + lengthName.count)..<size] {
                    if byte == 0x20 { continue }
                    guard (0x30...0x39).contains(byte) else { return value }
                    value = value * 10 + Int(byte - 0x30)
                }
            }
            start += 1
        }
        return nil
    }

    private static func matches(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> Bool {
        for (offset, byte) in lengthName.enumerated() where bytes[start + offset] | 0x20 != byte | 0x20 { return false }
        return true
    }
}
