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
