internal import COpenSSL

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
            extendedKeyUsage([ServerExtendedKeyUsagePolicy.serverAuthentication])
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
