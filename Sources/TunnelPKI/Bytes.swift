internal import COpenSSL
internal import Glibc

/// Runs one of OpenSSL's `i2d_` functions: first for the length, then into an array of that length.
func encodeDER(
    _ operation: String, _ encode: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32
) throws(PKIError) -> [UInt8] {
    let count = encode(nil)
    guard count > 0 else { throw .fromQueue(operation) }
    var written: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: Int(count)) { buffer, initialized in
        var cursor = buffer.baseAddress
        written = encode(&cursor)
        initialized = max(0, min(Int(written), buffer.count))
    }
    guard written == count else { throw .fromQueue(operation) }
    return bytes
}

/// The digest of some bytes; `algorithm` is what `EVP_sha256()` and its kin return.
func digest(_ bytes: UnsafeBufferPointer<UInt8>, _ algorithm: OpaquePointer?) throws(PKIError) -> [UInt8] {
    var count: UInt32 = 0
    var succeeded = false
    let result = [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { buffer, initialized in
        succeeded = EVP_Digest(bytes.baseAddress, bytes.count, buffer.baseAddress, &count, algorithm, nil) == 1
        initialized = succeeded ? Int(count) : 0
    }
    guard succeeded else { throw .fromQueue("cannot compute a digest") }
    return result
}

extension [UInt8] {
    /// SHA-256, to know bytes again without keeping them.
    package func sha256() throws(PKIError) -> [UInt8] { try withDigest(EVP_sha256()) }

    /// - Parameter algorithm: what `EVP_sha256()` and its kin return.
    func withDigest(_ algorithm: OpaquePointer?) throws(PKIError) -> [UInt8] {
        try withUnsafeBufferPointer { bytes throws(PKIError) in try digest(bytes, algorithm) }
    }

    /// Overwrites the bytes with zeros in a way the optimiser keeps, and empties the array.
    ///
    /// Reaches this array's storage only. Call it on the sole owner; a copy shared with someone else stays theirs.
    package mutating func wipe() {
        withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
        removeAll()
    }
}

/// A moment as text, for example `2026-08-01 12:00:00 UTC`.
struct UTCTime: CustomStringConvertible {
    let seconds: Int64

    /// - Parameter seconds: since 1970-01-01 00:00 UTC.
    init(_ seconds: Int64) { self.seconds = seconds }

    /// Reads what ``description`` says; `nil` for anything else.
    init?(text: some Collection<UInt8>) {
        let text = String(decoding: text, as: UTF8.self)
        ERR_clear_error()
        defer { ERR_clear_error() }
        // Its digits are a GeneralizedTime (RFC 5280 §4.1.2.5.2).
        guard let time = ASN1_TIME_new() else { return nil }
        defer { ASN1_TIME_free(time) }
        var parts = tm()
        guard ASN1_TIME_set_string(time, text.filter { $0.isASCII && $0.isNumber } + "Z") == 1,
            ASN1_TIME_to_tm(time, &parts) == 1
        else { return nil }
        seconds = Int64(timegm(&parts))
        guard description == text else { return nil }
    }

    var description: String {
        var moment = time_t(seconds), parts = tm()
        // Only a year that no C integer holds fails; a caller's clock may say anything.
        guard gmtime_r(&moment, &parts) != nil else { return "\(seconds) s after 1970-01-01 00:00:00 UTC" }
        return String(unsafeUninitializedCapacity: 64) { room in
            room.withMemoryRebound(to: CChar.self) { strftime($0.baseAddress, $0.count, "%F %T UTC", &parts) }
        }
    }
}

/// Text from a certificate, fit for a terminal or a log: bytes that are not UTF-8, control characters and those that
/// steer the direction of writing are replaced.
func printable(_ bytes: UnsafeRawBufferPointer) -> String {
    var text = ""
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: text.unicodeScalars.append("\u{FFFD}")
        default: text.unicodeScalars.append(scalar)
        }
    }
    return text
}

/// Lowercase hexadecimal, two digits a byte.
func hexadecimal(_ bytes: some Sequence<UInt8>, separator: String = "") -> String {
    bytes.map { byte in
        let digits = String(byte, radix: 16)
        return digits.utf8.count == 1 ? "0" + digits : digits
    }.joined(separator: separator)
}
