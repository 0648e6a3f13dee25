/// How the end of a message's body is found (RFC 9112 §6.3).
public enum BodyFraming: Sendable, Equatable {
    /// There is no body.
    case none
    /// Exactly that many bytes; at most `Int64.max`.
    case length(UInt64)
    /// Chunked transfer coding (RFC 9112 §7.1).
    case chunked
    /// Everything up to the end of the connection: responses only. It cannot be told from a truncated body.
    case untilClose

    /// No byte of body follows.
    public var isEmpty: Bool { self == .none || self == .length(0) }
}

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
