internal import TunnelAPI
internal import TunnelCore

/// The places for registered CAs that a tunnel has.
enum AuthoritySlots {
    /// Active certificates that a tunnel may have at once: the old and the new one while a CA is changed.
    static let count = 2

    /// Tells who holds the slots and how to free one.
    static func full(_ active: [TunnelCertificate]) -> SetupError {
        let holders = active.map { certificate in
            "\(certificate.id) (fingerprint \(certificate.fingerprint), registered \(certificate.createdAt.toTheSecond))"
        }
        return SetupError(
            .api,
            "the tunnel has \(active.count) active CA certificates already, and \(count) is the most: "
                + holders.joined(separator: ", "),
            remedy: "revoke one that nobody uses any more, with setup certs revoke ID or in the Console, and run again")
    }
}
