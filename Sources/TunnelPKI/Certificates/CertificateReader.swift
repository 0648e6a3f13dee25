internal import COpenSSL

/// Takes an `X509 *` apart into Swift values. Lives for the length of `Certificate.init`.
struct CertificateReader: ~Copyable {
    private let pointer: OpaquePointer

    /// Parses DER; bytes after the certificate, an unreadable key or a broken date are errors.
    init(_ der: [UInt8]) throws(PKIError) {
        let (pointer, isWhole) = der.withUnsafeBufferPointer { bytes in
            var cursor = bytes.baseAddress
            let pointer = d2i_X509(nil, &cursor, bytes.count)
            return (pointer, cursor == bytes.baseAddress.map { $0 + bytes.count })
        }
        guard let pointer else { throw .fromQueue("not a certificate", code: .malformed) }
        guard isWhole else {
            X509_free(pointer)
            throw PKIError(.malformed, "bytes follow the certificate")
        }
        self.pointer = pointer
    }

    deinit { X509_free(pointer) }

    /// +1 `X509 *` for the certificate that keeps it.
    consuming func release() -> OpaquePointer {
        let pointer = pointer
        discard self
        return pointer
    }

    /// Lends the `X509 *`, which lives for the call.
    borrowing func lend(to body: (OpaquePointer) throws(PKIError) -> Void) throws(PKIError) { try body(pointer) }

    var subject: String { Self.text(of: X509_get_subject_name(pointer)) }
    var issuer: String { Self.text(of: X509_get_issuer_name(pointer)) }

    var serial: SerialNumber {
        // SAFETY: the integer belongs to the certificate, and its bytes are copied before it can go away.
        guard let integer = X509_get0_serialNumber(pointer) else { return SerialNumber(isNegative: false, bytes: []) }
        let bytes = UnsafeBufferPointer(start: ASN1_STRING_get0_data(integer), count: Int(ASN1_STRING_length(integer)))
        return SerialNumber(
            isNegative: ASN1_STRING_type(integer) & V_ASN1_NEG != 0, bytes: Array(bytes.drop { $0 == 0 }))
    }

    func validity() throws(PKIError) -> (notBefore: Int64, notAfter: Int64) {
        guard let notBefore = Self.seconds(X509_get0_notBefore(pointer)),
            let notAfter = Self.seconds(X509_get0_notAfter(pointer))
        else { throw .fromQueue("the validity dates do not parse", code: .malformed) }
        return (notBefore, notAfter)
    }

    /// 1, 2 or 3 in a certificate that is in order.
    var version: Int { Int(X509_get_version(pointer)) + 1 }

    /// Which dates have not the one form that RFC 5280 §4.1.2.5 leaves them: to the second, in UTC, in two digits of the
    /// year until 2049. OpenSSL reads others and then refuses them in a chain.
    var oddDates: [String] {
        let dates = [("notBefore", X509_get0_notBefore(pointer)), ("notAfter", X509_get0_notAfter(pointer))]
        return dates.compactMap { name, date in date.map(Self.isInForm) ?? false ? nil : name }
    }

    private static func isInForm(_ date: UnsafePointer<ASN1_TIME>) -> Bool {
        // SAFETY: the date belongs to the certificate, and its bytes are read before it can go away.
        let text = UnsafeBufferPointer(start: ASN1_STRING_get0_data(date), count: Int(ASN1_STRING_length(date)))
        let isPlain = text.dropLast().allSatisfy { (0x30...0x39).contains($0) } && text.last == UInt8(ascii: "Z")
        switch ASN1_STRING_type(date) {
        case V_ASN1_UTCTIME: return isPlain && text.count == 13
        case V_ASN1_GENERALIZEDTIME: return isPlain && text.count == 15 && !text.lexicographicallyPrecedes("2050".utf8)
        default: return false
        }
    }

    var keyAlgorithm: KeyAlgorithm {
        guard let key = X509_get0_pubkey(pointer) else { return .other("an unreadable key") }
        return KeyAlgorithm(borrowing: key)
    }

    var signatureDigest: String? {
        var digest = NID_undef
        guard X509_get_signature_info(pointer, &digest, nil, nil, nil) == 1, digest != NID_undef else { return nil }
        return OBJ_nid2sn(digest).map { String(cString: $0) }
    }

    var extensions: CertificateExtensions { ExtensionReader.read(pointer) }

    private static func text(of name: OpaquePointer?) -> String {
        guard let name, let output = BIO_new(BIO_s_mem()) else { return "" }
        defer { BIO_free(output) }
        guard X509_NAME_print_ex(output, name, 0, COpenSSL_pki_name_flags()) >= 0 else { return "" }
        var bytes: UnsafeMutablePointer<CChar>?
        let count = COpenSSL_pki_memory(output, &bytes)
        guard let bytes, count > 0 else { return "" }
        // SAFETY: the BIO keeps its `count` bytes until the defer above frees it.
        let text = UnsafeRawBufferPointer(start: bytes, count: count)
        return printable(text)
    }

    private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        guard let time, let epoch = ASN1_TIME_set(nil, 0) else { return nil }
        defer { ASN1_TIME_free(epoch) }
        var days: Int32 = 0
        var seconds: Int32 = 0
        guard ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else { return nil }
        return Int64(days) * 86_400 + Int64(seconds)
    }
}
