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

    var keyAlgorithm: KeyAlgorithm {
        guard let key = X509_get0_pubkey(pointer) else { return .other("an unreadable key") }
        return KeyAlgorithm(borrowing: key)
    }

    var signatureDigest: String? {
        var digest = NID_undef
        guard X509_get_signature_info(pointer, &digest, nil, nil, nil) == 1, digest != NID_undef else { return nil }
        return OBJ_nid2sn(digest).map { String(cString: $0) }
    }

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

// MARK: Extensions

extension CertificateReader {
    func extensions() -> CertificateExtensions {
        var result = CertificateExtensions()
        // Fills OpenSSL's cache of the extensions, which the getters below read.
        let flags = X509_get_extension_flags(pointer)
        result.isMalformed = flags & UInt32(EXFLAG_INVALID) != 0
        if let isCritical = isCritical(NID_basic_constraints) {
            let length = X509_get_pathlen(pointer)
            result.basicConstraints = .init(
                isCritical: isCritical, isAuthority: flags & UInt32(EXFLAG_CA) != 0,
                pathLength: length < 0 ? nil : length)
        }
        if flags & UInt32(EXFLAG_KUSAGE) != 0 {
            result.keyUsage = .init(rawValue: UInt16(truncatingIfNeeded: X509_get_key_usage(pointer)))
        }
        if flags & UInt32(EXFLAG_XKUSAGE) != 0 { result.extendedKeyUsage = extendedKeyUsage() }
        result.subjectKeyIdentifier = Self.bytes(X509_get0_subject_key_id(pointer))
        result.authorityKeyIdentifier = Self.bytes(X509_get0_authority_key_id(pointer))
        result.subjectAlternativeNames = subjectAlternativeNames()
        result.unknownCritical = unknownCritical()
        return result
    }

    /// `nil` if the extension is absent.
    private func isCritical(_ nid: Int32) -> Bool? {
        let index = X509_get_ext_by_NID(pointer, nid, -1)
        guard index >= 0, let found = X509_get_ext(pointer, index) else { return nil }
        return X509_EXTENSION_get_critical(found) != 0
    }

    private func extendedKeyUsage() -> [String] {
        guard let list = X509_get_ext_d2i(pointer, NID_ext_key_usage, nil, nil) else { return [] }
        let stack = OpaquePointer(list)
        defer { EXTENDED_KEY_USAGE_free(stack) }
        return (0..<max(0, OPENSSL_sk_num(stack))).map { Self.identifier(OpaquePointer(OPENSSL_sk_value(stack, $0))) }
    }

    private func subjectAlternativeNames() -> [SubjectAlternativeName] {
        guard let list = X509_get_ext_d2i(pointer, NID_subject_alt_name, nil, nil) else { return [] }
        let stack = OpaquePointer(list)
        defer { GENERAL_NAMES_free(stack) }
        return (0..<max(0, OPENSSL_sk_num(stack))).compactMap { index in
            // SAFETY: the stack is one of GENERAL_NAME, and keeps its elements until the defer above.
            OPENSSL_sk_value(stack, index).map { Self.name($0.assumingMemoryBound(to: GENERAL_NAME.self)) }
        }
    }

    private static func name(_ name: UnsafePointer<GENERAL_NAME>) -> SubjectAlternativeName {
        var kind: Int32 = 0
        guard let value = GENERAL_NAME_get0_value(name, &kind) else { return .other("unreadable name") }
        switch kind {
        case GEN_DNS:
            // SAFETY: a dNSName is an IA5String, an ASN1_STRING; its bytes are copied here.
            let text = value.assumingMemoryBound(to: ASN1_STRING.self)
            return .dns(
                printable(.init(start: ASN1_STRING_get0_data(text), count: Int(ASN1_STRING_length(text)))))
        case GEN_IPADD:
            // SAFETY: an iPAddress is an OCTET STRING, an ASN1_STRING; its bytes are copied here.
            return .ip(address(bytes(value.assumingMemoryBound(to: ASN1_STRING.self)) ?? []))
        case GEN_EMAIL: return .other("email")
        case GEN_URI: return .other("URI")
        case GEN_DIRNAME: return .other("directory name")
        default: return .other("other name")
        }
    }

    /// Dotted decimal, or four hexadecimal digits a group without shortening.
    private static func address(_ bytes: [UInt8]) -> String {
        if bytes.count == 4 { return bytes.map(String.init).joined(separator: ".") }
        guard bytes.count == 16 else { return "(\(bytes.count) bytes)" }
        return stride(from: 0, to: 16, by: 2).map { String(Int(bytes[$0]) << 8 | Int(bytes[$0 + 1]), radix: 16) }
            .joined(separator: ":")
    }

    private func unknownCritical() -> [String] {
        (0..<max(0, X509_get_ext_count(pointer))).compactMap { index in
            guard let found = X509_get_ext(pointer, index), X509_EXTENSION_get_critical(found) != 0,
                X509_supported_extension(found) == 0
            else { return nil }
            return Self.identifier(X509_EXTENSION_get_object(found))
        }
    }

    /// The dotted form of an `ASN1_OBJECT *`.
    private static func identifier(_ object: OpaquePointer?) -> String {
        // Long enough for any identifier of sense; OpenSSL cuts the rest off.
        String(unsafeUninitializedCapacity: 128) { buffer in
            buffer.withMemoryRebound(to: CChar.self) { text in
                let count = OBJ_obj2txt(text.baseAddress, Int32(text.count), object, 1)
                return max(0, min(Int(count), text.count - 1))
            }
        }
    }

    private static func bytes(_ string: UnsafePointer<ASN1_STRING>?) -> [UInt8]? {
        guard let string else { return nil }
        return Array(UnsafeBufferPointer(start: ASN1_STRING_get0_data(string), count: Int(ASN1_STRING_length(string))))
    }
}

/// Text from a certificate, fit for a terminal or a log: bytes that are not UTF-8, control characters and those that
/// steer the direction of writing are replaced.
private func printable(_ bytes: UnsafeRawBufferPointer) -> String {
    var text = ""
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: text.unicodeScalars.append("\u{FFFD}")
        default: text.unicodeScalars.append(scalar)
        }
    }
    return text
}
