/// The extensions this library writes (RFC 5280 §4.2.1).
extension CertificateTemplate.Extension {
    package static func basicConstraints(isAuthority: Bool, pathLength: UInt8? = nil, isCritical: Bool = true) -> Self {
        // DER leaves a value out that is the default, and cA defaults to FALSE.
        let authority = isAuthority ? DER.boolean(true) : []
        return Self(
            "2.5.29.19", isCritical: isCritical, value: DER.sequence(authority, pathLength.map(DER.integer) ?? []))
    }

    package static func keyUsage(_ usage: CertificateExtensions.KeyUsage, isCritical: Bool = true) -> Self {
        let bits = [UInt8(truncatingIfNeeded: usage.rawValue), UInt8(truncatingIfNeeded: usage.rawValue >> 8)]
        return Self("2.5.29.15", isCritical: isCritical, value: DER.namedBits(bits))
    }

    package static func subjectKeyIdentifier(_ identifier: [UInt8]) -> Self {
        Self("2.5.29.14", isCritical: false, value: DER.octetString(identifier))
    }

    package static func authorityKeyIdentifier(_ identifier: [UInt8]) -> Self {
        Self("2.5.29.35", isCritical: false, value: DER.sequence(DER.contextual(0, identifier)))
    }

    /// serverAuth is `[1, 3, 6, 1, 5, 5, 7, 3, 1]`.
    package static func extendedKeyUsage(_ purposes: [[UInt64]]) -> Self {
        Self(
            "2.5.29.37", isCritical: false,
            value: DER.element(0x30, Array(purposes.map(DER.objectIdentifier).joined())))
    }

    package static var serverAuthentication: Self { extendedKeyUsage([[1, 3, 6, 1, 5, 5, 7, 3, 1]]) }

    /// - Parameter isCritical: must be true where the subject is empty (RFC 5280 §4.2.1.6).
    package static func subjectAlternativeNames(_ dnsNames: [String], isCritical: Bool = false) -> Self {
        Self(
            "2.5.29.17", isCritical: isCritical,
            value: DER.element(0x30, Array(dnsNames.map { DER.contextual(2, Array($0.utf8)) }.joined())))
    }
}
