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

/// A certificate that outlives its CA stops working with it, earlier than its own date says.
struct OutlivesAuthorityPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard let authority = context.authority, certificate.notAfter > authority.notAfter else { return [] }
        return context.warning(
            .outlivesAuthority,
            "it ends at \(UTCTime(certificate.notAfter)), but the CA already at \(UTCTime(authority.notAfter))",
            remedy: "register a new CA before the old one ends, and issue the server certificate anew from it")
    }
}
