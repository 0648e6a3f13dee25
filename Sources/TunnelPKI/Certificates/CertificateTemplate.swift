internal import COpenSSL

/// Everything about a certificate that its signer decides. The product fills it in one way only, in
/// `CertificateAuthority`; tests use it to mint certificates that break one rule at a time.
package struct CertificateTemplate: Sendable {
    package enum SignatureDigest: Sendable { case md5, sha1, sha224, sha256, sha384, sha512 }

    /// `nil` leaves the subject empty.
    package var commonName: String?
    /// Seconds since 1970-01-01 00:00 UTC; both ends belong to the validity.
    package var notBefore: Int64
    package var notAfter: Int64
    package var digest = SignatureDigest.sha256
    package var extensions: [Extension]

    package init(commonName: String?, notBefore: Int64, notAfter: Int64, extensions: [Extension]) {
        (self.commonName, self.notBefore, self.notAfter) = (commonName, notBefore, notAfter)
        self.extensions = extensions
    }

    /// Signs a certificate for `key`.
    ///
    /// - Parameter issuer: whose name goes in as the issuer's; `nil` for a certificate that signs itself.
    /// - Throws: `.invalidArgument` for a name or a date that X.509 cannot hold, `.library`.
    package func signed(
        for key: PrivateKey, issuer: Certificate?, issuerKey: PrivateKey
    ) throws(PKIError) -> Certificate {
        ERR_clear_error()
        guard let certificate = X509_new() else { throw .fromQueue("cannot make a certificate") }
        defer { X509_free(certificate) }
        guard X509_set_version(certificate, 2) == 1 else { throw .fromQueue("cannot make a certificate") }  // 2 is v3
        try setSerial(certificate)
        try setNames(certificate, issuer: issuer)
        try setValidity(certificate)
        guard X509_set_pubkey(certificate, key.pointer) == 1 else { throw .fromQueue("cannot use the key") }
        for entry in extensions { try entry.add(to: certificate) }
        guard X509_sign(certificate, issuerKey.pointer, digest.algorithm) > 0 else {
            throw .fromQueue("cannot sign the certificate")
        }
        return try Certificate(der: try encodeDER("cannot encode the certificate") { i2d_X509(certificate, $0) })
    }

    /// A random number of 128 bits, as RFC 5280 §4.1.2.2 wants: positive, unique, at most 20 bytes.
    private func setSerial(_ certificate: OpaquePointer) throws(PKIError) {
        guard let number = BN_new() else { throw .fromQueue("cannot make a serial number") }
        defer { BN_free(number) }
        repeat {
            guard BN_rand(number, 128, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 else {
                throw .fromQueue("cannot make a serial number")
            }
        } while BN_is_zero(number) == 1
        guard BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nil else {
            throw .fromQueue("cannot make a serial number")
        }
    }

    private func setNames(_ certificate: OpaquePointer, issuer: Certificate?) throws(PKIError) {
        guard let subject = X509_get_subject_name(certificate) else { throw .fromQueue("cannot make a certificate") }
        if let commonName {
            let bytes = Array(commonName.utf8)
            guard !bytes.isEmpty, let count = Int32(exactly: bytes.count),
                X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, bytes, count, -1, 0) == 1
            else { throw .fromQueue("a common name has 1 to 64 characters", code: .invalidArgument) }
        }
        let name = issuer.map { X509_get_subject_name($0.pointer) } ?? subject
        guard X509_set_issuer_name(certificate, name) == 1 else { throw .fromQueue("cannot set the issuer's name") }
    }

    private func setValidity(_ certificate: OpaquePointer) throws(PKIError) {
        // The two-digit and four-digit years of X.509 reach from 0000 to 9999.
        guard notBefore >= -62_167_219_200, notAfter <= 253_402_300_799 else {
            throw PKIError(.invalidArgument, "a certificate cannot be valid from \(notBefore) to \(notAfter)")
        }
        for (seconds, set) in [(notBefore, X509_set1_notBefore), (notAfter, X509_set1_notAfter)] {
            guard let time = ASN1_TIME_set(nil, time_t(seconds)) else {
                throw .fromQueue("\(seconds) is no date a certificate can hold", code: .invalidArgument)
            }
            defer { ASN1_TIME_free(time) }
            guard set(certificate, time) == 1 else { throw .fromQueue("cannot set the validity") }
        }
    }
}

extension CertificateTemplate.SignatureDigest {
    fileprivate var algorithm: OpaquePointer? {
        switch self {
        case .md5: EVP_md5()
        case .sha1: EVP_sha1()
        case .sha224: EVP_sha224()
        case .sha256: EVP_sha256()
        case .sha384: EVP_sha384()
        case .sha512: EVP_sha512()
        }
    }
}

extension CertificateTemplate {
    /// One extension of a certificate (RFC 5280 §4.2.1). OpenSSL encodes it when the certificate is signed.
    package struct Extension: Sendable {
        /// In dotted form.
        package let identifier: String
        package let isCritical: Bool
        fileprivate let content: Content

        fileprivate enum Content: Sendable {
            case basicConstraints(isAuthority: Bool, pathLength: UInt8?)
            case keyUsage(CertificateExtensions.KeyUsage)
            case subjectKeyIdentifier([UInt8])
            case authorityKeyIdentifier([UInt8])
            case extendedKeyUsage([String])
            case dnsNames([String])
            case encoded([UInt8])
        }

        private init(_ identifier: String, _ isCritical: Bool, _ content: Content) {
            (self.identifier, self.isCritical, self.content) = (identifier, isCritical, content)
        }

        /// Any extension, with its value in DER.
        package init(_ identifier: String, isCritical: Bool, value: [UInt8]) {
            self.init(identifier, isCritical, .encoded(value))
        }

        package static func basicConstraints(
            isAuthority: Bool, pathLength: UInt8? = nil, isCritical: Bool = true
        ) -> Self {
            Self("2.5.29.19", isCritical, .basicConstraints(isAuthority: isAuthority, pathLength: pathLength))
        }

        package static func keyUsage(_ usage: CertificateExtensions.KeyUsage, isCritical: Bool = true) -> Self {
            Self("2.5.29.15", isCritical, .keyUsage(usage))
        }

        package static func subjectKeyIdentifier(_ identifier: [UInt8]) -> Self {
            Self("2.5.29.14", false, .subjectKeyIdentifier(identifier))
        }

        package static func authorityKeyIdentifier(_ identifier: [UInt8]) -> Self {
            Self("2.5.29.35", false, .authorityKeyIdentifier(identifier))
        }

        /// - Parameter purposes: in dotted form.
        package static func extendedKeyUsage(_ purposes: [String]) -> Self {
            Self("2.5.29.37", false, .extendedKeyUsage(purposes))
        }

        package static var serverAuthentication: Self {
            extendedKeyUsage([CertificateExtensions.serverAuthentication])
        }

        /// - Parameter isCritical: must be true where the subject is empty (RFC 5280 §4.2.1.6).
        package static func subjectAlternativeNames(_ dnsNames: [String], isCritical: Bool = false) -> Self {
            Self("2.5.29.17", isCritical, .dnsNames(dnsNames))
        }
    }
}

extension CertificateTemplate.Extension {
    /// Appends the extension to an `X509 *`, also where there is one of its kind: tests make such certificates.
    func add(to certificate: OpaquePointer) throws(PKIError) {
        let isAdded =
            switch content {
            case .basicConstraints(let isAuthority, let pathLength):
                addBasicConstraints(isAuthority, pathLength, to: certificate)
            case .keyUsage(let usage): addKeyUsage(usage, to: certificate)
            case .subjectKeyIdentifier(let identifier): addSubjectKeyIdentifier(identifier, to: certificate)
            case .authorityKeyIdentifier(let identifier): addAuthorityKeyIdentifier(identifier, to: certificate)
            case .extendedKeyUsage(let purposes): addExtendedKeyUsage(purposes, to: certificate)
            case .dnsNames(let names): addNames(names, to: certificate)
            case .encoded(let value): addEncoded(value, to: certificate)
            }
        guard isAdded else { throw .fromQueue("cannot add the extension \(identifier)") }
    }

    private func addBasicConstraints(_ isAuthority: Bool, _ pathLength: UInt8?, to certificate: OpaquePointer) -> Bool {
        guard let value = BASIC_CONSTRAINTS_new() else { return false }
        defer { BASIC_CONSTRAINTS_free(value) }
        value.pointee.ca = isAuthority ? 1 : 0
        if let pathLength {
            value.pointee.pathlen = ASN1_INTEGER_new()
            guard ASN1_INTEGER_set(value.pointee.pathlen, Int(pathLength)) == 1 else { return false }
        }
        return add(value, NID_basic_constraints, to: certificate)
    }

    private func addKeyUsage(_ usage: CertificateExtensions.KeyUsage, to certificate: OpaquePointer) -> Bool {
        guard let bits = ASN1_BIT_STRING_new() else { return false }
        defer { ASN1_BIT_STRING_free(bits) }
        for (number, bit) in CertificateExtensions.KeyUsage.inOrder.enumerated() where usage.contains(bit) {
            guard ASN1_BIT_STRING_set_bit(bits, Int32(number), 1) == 1 else { return false }
        }
        return add(bits, NID_key_usage, to: certificate)
    }

    private func addSubjectKeyIdentifier(_ identifier: [UInt8], to certificate: OpaquePointer) -> Bool {
        guard let value = ASN1_OCTET_STRING_new() else { return false }
        defer { ASN1_OCTET_STRING_free(value) }
        return ASN1_OCTET_STRING_set(value, identifier, Int32(identifier.count)) == 1
            && add(value, NID_subject_key_identifier, to: certificate)
    }

    private func addAuthorityKeyIdentifier(_ identifier: [UInt8], to certificate: OpaquePointer) -> Bool {
        guard let value = AUTHORITY_KEYID_new() else { return false }
        defer { AUTHORITY_KEYID_free(value) }
        value.pointee.keyid = ASN1_OCTET_STRING_new()
        return ASN1_OCTET_STRING_set(value.pointee.keyid, identifier, Int32(identifier.count)) == 1
            && add(value, NID_authority_key_identifier, to: certificate)
    }

    private func addExtendedKeyUsage(_ purposes: [String], to certificate: OpaquePointer) -> Bool {
        guard let stack = OPENSSL_sk_new_null() else { return false }
        defer { EXTENDED_KEY_USAGE_free(stack) }
        for purpose in purposes {
            guard let object = OBJ_txt2obj(purpose, 1) else { return false }
            guard OPENSSL_sk_push(stack, UnsafeRawPointer(object)) > 0 else {
                ASN1_OBJECT_free(object)
                return false
            }
        }
        return add(UnsafeMutableRawPointer(stack), NID_ext_key_usage, to: certificate)
    }

    private func addNames(_ dnsNames: [String], to certificate: OpaquePointer) -> Bool {
        guard let stack = OPENSSL_sk_new_null() else { return false }
        defer { GENERAL_NAMES_free(stack) }
        for dnsName in dnsNames {
            let bytes = Array(dnsName.utf8)
            guard let name = GENERAL_NAME_new() else { return false }
            guard OPENSSL_sk_push(stack, name) > 0 else {
                GENERAL_NAME_free(name)
                return false
            }
            guard let text = ASN1_STRING_type_new(V_ASN1_IA5STRING) else { return false }
            GENERAL_NAME_set0_value(name, GEN_DNS, text)
            guard ASN1_STRING_set(text, bytes, Int32(bytes.count)) == 1 else { return false }
        }
        return add(UnsafeMutableRawPointer(stack), NID_subject_alt_name, to: certificate)
    }

    /// - Parameter value: of the C type that belongs to `nid`; it stays the caller's.
    private func add(_ value: UnsafeMutableRawPointer, _ nid: Int32, to certificate: OpaquePointer) -> Bool {
        X509_add1_ext_i2d(certificate, nid, value, isCritical ? 1 : 0, UInt(X509V3_ADD_APPEND)) == 1
    }

    private func addEncoded(_ bytes: [UInt8], to certificate: OpaquePointer) -> Bool {
        guard let object = OBJ_txt2obj(identifier, 1) else { return false }
        defer { ASN1_OBJECT_free(object) }
        guard let value = ASN1_OCTET_STRING_new() else { return false }
        defer { ASN1_OCTET_STRING_free(value) }
        guard ASN1_OCTET_STRING_set(value, bytes, Int32(bytes.count)) == 1,
            let made = X509_EXTENSION_create_by_OBJ(nil, object, isCritical ? 1 : 0, value)
        else { return false }
        defer { X509_EXTENSION_free(made) }
        return X509_add_ext(certificate, made, -1) == 1
    }
}
