internal import COpenSSL

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

/// Lowercase hexadecimal, two digits a byte.
func hexadecimal(_ bytes: some Sequence<UInt8>, separator: String = "") -> String {
    bytes.map { byte in
        let digits = String(byte, radix: 16)
        return digits.utf8.count == 1 ? "0" + digits : digits
    }.joined(separator: separator)
}

extension [UInt8] {
    func withDigest(_ algorithm: OpaquePointer?) throws(PKIError) -> [UInt8] {
        try withUnsafeBufferPointer { bytes throws(PKIError) in try digest(bytes, algorithm) }
    }
}
