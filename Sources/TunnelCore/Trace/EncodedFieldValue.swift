internal import COpenSSL

/// A value of MCP's fields (2026-07-28): plain, or as `=?base64?…?=` where it holds what a field must not.
package enum EncodedFieldValue {
    private static let prefix: StaticString = "=?base64?"
    private static let suffix: StaticString = "?="

    /// Where the base64 of an encoded value lies; `nil` for a plain one. The case counts.
    package static func payload(of value: Range<Int>, in bytes: Span<UInt8>) -> Range<Int>? {
        let (before, after) = (prefix.utf8CodeUnitCount, suffix.utf8CodeUnitCount)
        guard value.count >= before + after, bytes.matches(value.prefix(before), prefix),
            bytes.matches(value.suffix(after), suffix)
        else { return nil }
        return value.lowerBound + before..<value.upperBound - after
    }

    /// Decodes what ``payload(of:in:)`` found, but no more than is needed for `limit` bytes.
    ///
    /// - Returns: `nil` for what is no base64 with its padding (RFC 4648 §4).
    package static func decode(_ payload: Range<Int>, in bytes: Span<UInt8>, limit: Int) -> [UInt8]? {
        guard payload.count % 4 == 0 else { return nil }
        var padding = 0
        for index in payload {
            let byte = bytes[index]
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, HTTPByte.slash:
                guard padding == 0 else { return nil }
            case HTTPByte.equals: padding += 1
            default: return nil
            }
        }
        guard padding <= 2 else { return nil }
        let taken = payload.prefix((limit + 2) / 3 * 4)
        if taken.isEmpty { return [] }
        let isWhole = taken.count == payload.count
        // SAFETY: EVP_DecodeBlock writes three bytes for each four characters, which is what the array has room for.
        return [UInt8](unsafeUninitializedCapacity: taken.count / 4 * 3) { room, count in
            let decoded = bytes.extracting(taken).withUnsafeBufferPointer { text in
                EVP_DecodeBlock(room.baseAddress, text.baseAddress, CInt(text.count))
            }
            count = max(0, Int(decoded) - (isWhole ? padding : 0))
        }
    }
}
