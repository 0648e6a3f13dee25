/// What the framing fields of a head say. They are the way to smuggle a message past a proxy, so there is one reading
/// or none: a choice that RFC 9112 §6.3 leaves to the recipient is always a refusal.
struct FramingFields {
    private(set) var length: UInt64?
    private(set) var isChunked = false

    /// - Throws: 400 for both Content-Length and Transfer-Encoding, either of them twice, a length that is not 1*DIGIT
    ///   or above `Int64.max`, a transfer coding other than exactly `chunked`, any transfer coding in HTTP/1.0.
    init(_ fields: [Field], _ bytes: Span<UInt8>, minorVersion: UInt8) throws(HTTPError) {
        for field in fields {
            if field.id == .contentLength {
                guard length == nil else { throw .badMessage("several Content-Length (RFC 9112 6.3)") }
                length = try FramingFields.length(field.value, bytes)
            } else if field.id == .transferEncoding {
                guard !isChunked else { throw .badMessage("several Transfer-Encoding (RFC 9112 6.1)") }
                guard bytes.matches(field.value, ignoringCase: "chunked") else {
                    throw .badMessage("transfer coding other than chunked (RFC 9112 6.1)")
                }
                guard minorVersion > 0 else { throw .badMessage("Transfer-Encoding in HTTP/1.0 (RFC 9112 6.1)") }
                isChunked = true
            }
        }
        if isChunked, length != nil {
            throw .badMessage("both Content-Length and Transfer-Encoding (RFC 9112 6.1)")
        }
    }

    private static func length(_ value: Range<Int>, _ bytes: Span<UInt8>) throws(HTTPError) -> UInt64 {
        var length: UInt64 = 0
        for i in value {
            guard let digit = bytes[i].decimalDigit else {
                throw .badMessage("Content-Length is not a number (RFC 9110 8.6)")
            }
            let (tens, overflow) = length.multipliedReportingOverflow(by: 10)
            length = tens &+ UInt64(digit)
            // `tens` is a multiple of ten below 2^64, so adding a digit wraps only where the sum is small again.
            guard !overflow, length >= tens, length <= UInt64(Int64.max) else {
                throw .badMessage("Content-Length too large (RFC 9110 8.6)")
            }
        }
        guard !value.isEmpty else { throw .badMessage("empty Content-Length (RFC 9110 8.6)") }
        return length
    }
}

/// `HTTP-version` (RFC 9112 §2.3).
enum HTTPVersion {
    /// - Returns: the minor version of HTTP/1.0 or HTTP/1.1.
    /// - Throws: 400 if there is no version, 505 for any other.
    static func minor(_ range: Range<Int>, _ bytes: Span<UInt8>) throws(HTTPError) -> UInt8 {
        if bytes.matches(range, "HTTP/1.1") { return 1 }
        if bytes.matches(range, "HTTP/1.0") { return 0 }
        guard range.count == 8, bytes.matches(range.prefix(5), "HTTP/"),
            bytes[range.lowerBound + 5].decimalDigit != nil, bytes[range.lowerBound + 6] == 0x2E,
            bytes[range.lowerBound + 7].decimalDigit != nil
        else { throw .badMessage("malformed HTTP version (RFC 9112 2.3)") }
        throw .badVersion("HTTP version other than 1.0 and 1.1")
    }
}
