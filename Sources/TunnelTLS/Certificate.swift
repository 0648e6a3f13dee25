internal import COpenSSL

/// Owns one `X509 *`.
final class Certificate: Sendable {
    // SAFETY: OpenSSL counts references atomically and locks what it caches; nothing here changes the certificate.
    nonisolated(unsafe) let pointer: OpaquePointer

    /// Takes over the caller's reference.
    init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { X509_free(pointer) }

    /// The SHA-256 digest of the DER form, in 64 lower-case hexadecimal digits.
    var fingerprint: String { Self.fingerprint(pointer) }

    /// The subject on one line (RFC 4514), for example `CN=localhost`.
    var subject: String {
        guard let text = BIO_new(BIO_s_mem()) else { return "" }
        defer { BIO_free(text) }
        let name = X509_get_subject_name(pointer)
        guard X509_NAME_print_ex(text, name, 0, COpenSSL_name_format()) >= 0 else { return "" }
        return String(unsafeUninitializedCapacity: 1_024) { room in
            max(0, Int(BIO_read(text, room.baseAddress, CInt(room.count))))
        }
    }

    /// The dNSName entries of subjectAltName (RFC 5280 §4.2.1.6), in order.
    var dnsNames: [String] {
        guard let extensionValue = X509_get_ext_d2i(pointer, NID_subject_alt_name, nil, nil) else { return [] }
        let names = OpaquePointer(extensionValue)
        defer { GENERAL_NAMES_free(names) }
        return (0..<COpenSSL_general_name_count(names)).compactMap { index in
            guard let name = COpenSSL_dns_name(names, index) else { return nil }
            let bytes = UnsafeBufferPointer(start: ASN1_STRING_get0_data(name), count: Int(ASN1_STRING_length(name)))
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// Start of validity, in seconds since 1970.
    var notBefore: Int64 { Self.seconds(X509_get0_notBefore(pointer)) }
    /// End of validity, in seconds since 1970.
    var notAfter: Int64 { Self.seconds(X509_get0_notAfter(pointer)) }

    /// The digest of a certificate that somebody else owns.
    static func fingerprint(_ pointer: OpaquePointer) -> String {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { digest in
            var count: CUnsignedInt = 0
            guard X509_digest(pointer, EVP_sha256(), digest.baseAddress, &count) == 1 else { return "" }
            return hex(digest.prefix(Int(count)))
        }
    }

    private static func hex(_ bytes: Slice<UnsafeMutableBufferPointer<UInt8>>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64 {
        guard let epoch = ASN1_TIME_set(nil, 0) else { return 0 }
        defer { ASN1_STRING_free(epoch) }
        var days: CInt = 0
        var seconds: CInt = 0
        guard ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else { return 0 }
        return Int64(days) * 86_400 + Int64(seconds)
    }
}
