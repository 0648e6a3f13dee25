internal import COpenSSL

/// One entry of OpenSSL's error queue.
package struct OpenSSLReason: Sendable {
    /// The part of the library, such as `ERR_LIB_SSL`.
    package let library: Int32
    package let number: Int32
    package let text: String
    /// What the library adds in this case, such as the name of a file.
    package let data: String?
}

/// Takes all entries off this thread's error queue, the oldest first: one left behind is blamed on the next, innocent
/// call.
package func drainOpenSSLErrors() -> [OpenSSLReason] {
    var reasons: [OpenSSLReason] = []
    var data: UnsafePointer<CChar>?
    var flags: Int32 = 0
    while case let code = ERR_get_error_all(nil, nil, nil, &data, &flags), code != 0 {
        let hasText = flags & ERR_TXT_STRING != 0 && data?.pointee != 0
        reasons.append(
            OpenSSLReason(
                library: ERR_GET_LIB(code), number: ERR_GET_REASON(code),
                text: ERR_reason_error_string(code).map { String(cString: $0) } ?? "code \(code)",
                data: hasText ? data.map { String(cString: $0) } : nil))
    }
    return reasons
}

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
