/// Currently valid: `notBefore <= now <= notAfter`, both ends included (RFC 5280 §4.1.2.5); and a word in time.
struct ValidityPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let now = context.now
        if now < certificate.notBefore {
            return context.error(
                .currentlyValid,
                "it is not valid before \(UTCTime(certificate.notBefore)); it is now \(UTCTime(now))",
                remedy: "check the clock of the machine that made it, or \(context.reissue)")
        }
        if now > certificate.notAfter {
            return context.error(
                .currentlyValid, "it expired at \(UTCTime(certificate.notAfter)); it is now \(UTCTime(now))",
                remedy: context.reissue)
        }
        // Both lie within the range of dates a certificate can hold, so the difference does not overflow.
        guard context.expiryWarning > 0, certificate.notAfter - now <= context.expiryWarning else { return [] }
        return context.warning(
            .expiresSoon, "it expires at \(UTCTime(certificate.notAfter)), in \(Self.span(certificate.notAfter - now))",
            remedy: context.reissue)
    }

    private static func span(_ seconds: Int64) -> String {
        if seconds >= 2 * 86_400 { return "\(seconds / 86_400) days" }
        return seconds >= 2 * 3_600 ? "\(seconds / 3_600) hours" : "\(seconds) seconds"
    }
}

/// Dates in the one form that RFC 5280 §4.1.2.5 leaves them. Readers are lenient where they show a date, and strict where
/// they verify a chain.
struct DateFormPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard !certificate.oddDates.isEmpty else { return [] }
        return context.error(
            .dateForm, "\(certificate.oddDates.joined(separator: " and ")) is not written in that form",
            remedy: "with a tool that writes dates as `openssl x509` does, \(context.reissue)")
    }
}

/// Only version 3 has extensions: some readers look for none in the others, and some refuse the certificate.
struct VersionPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let (version, count) = (certificate.version, certificate.extensions.count)
        guard !(1...3).contains(version) || version < 3 && count > 0 else { return [] }
        return context.error(
            .version, "it is of version \(version)\(count > 0 ? " and has extensions" : "")",
            remedy: "as X.509 version 3, \(context.reissue)")
    }
}

/// A certificate that outlives its CA stops working with it, earlier than its own date says.
struct OutlivesCAPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard let ca = context.ca, certificate.notAfter > ca.notAfter else { return [] }
        return context.warning(
            .outlivesCA,
            "it ends at \(UTCTime(certificate.notAfter)), but the CA already at \(UTCTime(ca.notAfter))",
            remedy: "register a new CA before the old one ends, and issue the server certificate anew from it")
    }
}

/// RSA of at least 2048 bits, or ECDSA on a curve that is at least P-256 and that TLS can use.
struct KeyStrengthPolicy: CertificatePolicy {
    static let minRSABits = 2048
    /// Go's TLS refuses larger ones in a handshake, because of the work they make the peer do.
    static let maxRSABits = 8192
    static let curves = ["P-256", "P-384", "P-521"]

    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let found = "the key is \(certificate.keyAlgorithm)"
        let remedy = "make an ECDSA P-256 or RSA 4096 key, and with it \(context.reissue)"
        switch certificate.keyAlgorithm {
        case .rsa(let bits) where bits > Self.maxRSABits:
            return context.warning(.keyStrength, "\(found), more than many peers accept", remedy: remedy)
        case .rsa(let bits) where bits >= Self.minRSABits: return []
        case .ecdsa(let curve) where Self.curves.contains(curve): return []
        default: return context.error(.keyStrength, found, remedy: remedy)
        }
    }
}

/// The digest under the signature. That of a self-signed CA is checked too: the upload looks at it.
struct SignatureDigestPolicy: CertificatePolicy {
    static let digests = ["SHA256", "SHA384", "SHA512"]

    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        if let digest = certificate.signatureDigest, Self.digests.contains(digest) { return [] }
        let found = certificate.signatureDigest ?? "an algorithm that is unknown or has no digest"
        return context.error(
            .signatureDigest, "it is signed with \(found)",
            remedy: "with SHA-256 (`-sha256` for openssl), \(context.reissue)")
    }
}

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

/// A critical extension that a peer does not know makes it refuse (RFC 5280 §4.2). Which peer the other side has, nobody
/// says; so what only some know is a warning.
struct CriticalExtensionsPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let unknown = certificate.extensions.unknownCritical
        let littleKnown = certificate.extensions.littleKnownCritical
        let remedy = "without them or with them not critical, \(context.reissue)"
        if !unknown.isEmpty {
            return context.error(
                .criticalExtensions, "critical and unknown: \(unknown.joined(separator: ", "))", remedy: remedy)
        }
        guard !littleKnown.isEmpty else { return [] }
        return context.warning(
            .criticalExtensions, "critical and not known to every peer: \(littleKnown.joined(separator: ", "))",
            remedy: remedy)
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
