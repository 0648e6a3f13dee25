/// Extensions that are doubled or do not parse: peers refuse the whole certificate.
struct ExtensionsPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let defects = certificate.extensions.defects
        guard !defects.isEmpty else { return [] }
        return context.error(
            .extensions, defects.joined(separator: ", "),
            remedy: "look for doubled entries in openssl's `-config`, `-extfile` and `-addext`, and \(context.reissue)")
    }
}

/// A critical extension that a peer does not know makes it refuse (RFC 5280 §4.2).
struct CriticalExtensionsPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let unknown = certificate.extensions.unknownCritical
        guard !unknown.isEmpty else { return [] }
        return context.error(
            .criticalExtensions, "critical and unknown: \(unknown.joined(separator: ", "))",
            remedy: "without them or with them not critical, \(context.reissue)")
    }
}

/// RFC 5280 §4.1.2.2. Go refuses negative serials; zero and long ones are merely against the standard.
struct SerialNumberPolicy: CertificatePolicy {
    static let maxBytes = 20

    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let serial = certificate.serial
        let remedy = "with a random positive serial number, \(context.reissue)"
        if serial.isNegative { return context.error(.serialNumber, "the serial number is negative", remedy: remedy) }
        if serial.bytes.isEmpty { return context.warning(.serialNumber, "the serial number is zero", remedy: remedy) }
        // A first bit that is set costs another byte, the sign.
        let count = serial.bytes.count + (serial.bytes[0] & 0x80 == 0 ? 0 : 1)
        guard count > Self.maxBytes else { return [] }
        return context.warning(.serialNumber, "the serial number has \(count) bytes", remedy: remedy)
    }
}
