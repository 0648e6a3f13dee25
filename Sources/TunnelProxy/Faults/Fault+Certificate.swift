internal import TunnelPKI

/// Faults of the certificate that the proxy shows, of its key, and of the clock. Those of TunnelPKI's rules have the rules'
/// names.
extension Fault {
    package static let certificateUnreadable = Fault(
        "certificate-unreadable", "certificate or key cannot be read",
        sign: "`open ...tls.key: permission denied` or the like, and the proxy does not start",
        cause: "`setup` has not run, the mount is wrong, or the proxy's user may not read the file",
        remedy: "`setup init`, or let the user of the proxy, 65532 in the image, read both files")
    package static let certificateUnusable = Fault(
        "certificate-unusable", "certificate and key cannot be used",
        sign:
            "`certificate and private key do not belong together` or another word of OpenSSL's, and the proxy does not start",
        cause: "the two files are of different pairs, or one of them is damaged",
        remedy: "`setup verify` says which; `setup renew-cert` makes a new pair")
    package static let ticketKeysMissing = Fault(
        "ticket-keys-missing", "the keys of session tickets are not there", level: .warn,
        sign:
            "a client that comes back to another replica shakes hands in full: few of `/metrics` are `resumed=\"true\"`",
        cause: "`setup` is older than `tls.ticket_keys_file`, or has not run since",
        remedy: "`setup renew-cert` makes the file; the proxy takes it up by itself")
    package static let ticketKeysUnusable = Fault(
        "ticket-keys-unusable", "the keys of session tickets cannot be used",
        sign: "`tls.ticket_keys_file: ...`, and the proxy does not start; one that runs keeps the old keys",
        cause: "the file is damaged or not meant for this, or the proxy's user may not read it",
        remedy: "let the proxy's user read it; or remove it, and `setup renew-cert` makes another")
    package static let caUnreadable = Fault(
        "ca-unreadable", "the CA's file cannot be read",
        sign: "the file that `-ca` names cannot be opened, or holds no certificate",
        cause: "the path is wrong, or the file is not PEM",
        remedy: "name the `ca.crt` that is registered on the tunnel")
    package static let clockImplausible = Fault(
        "clock-implausible", "this machine's clock cannot be right",
        sign: "certificates are said to be not valid yet, by us or by an MCP server",
        cause: "the clock stands before the day on which this program was released",
        remedy: "set the clock, and see that NTP keeps it: `timedatectl`")
    package static let clockSkew = Fault(
        "clock-skew", "this machine's clock differs from that of the MCP servers", level: .warn,
        sign: "tokens and certificates are refused shortly after they were made, or before they should end",
        cause: "the `Date` of responses is more than a minute away from our time",
        remedy: "see which of the two is wrong: `timedatectl` here and there")

    private static let renew = "`setup renew-cert` makes a new certificate"

    private static func rule(
        _ rule: Finding.Rule, _ title: String, level: Level = .fail, sign: String? = nil, cause: String,
        remedy: String? = nil
    ) -> Fault {
        let usual = "Anthropic's side refuses the handshake: log `tls handshake failed`, `reason=bad certificate`"
        return Fault(rule.id, title, level: level, sign: sign ?? usual, cause: cause, remedy: remedy ?? renew)
    }

    static let certificate: [Fault] =
        [certificateUnreadable, certificateUnusable, ticketKeysMissing, ticketKeysUnusable, caUnreadable] + rules
        + [clockImplausible, clockSkew]

    private static let rules: [Fault] = [
        rule(
            .currentlyValid, "the certificate has expired, or is not valid yet",
            cause: "nothing has renewed it, or the clock is wrong",
            remedy: "`setup renew-cert`, and see why the renewal did not come; compare the clock"),
        rule(
            .expiresSoon, "the certificate ends soon", level: .warn,
            sign: "WARN `certificate expires soon` at 30, 7 and 1 days", cause: "the renewal has not run for weeks",
            remedy: "`setup renew-cert`, and see why the renewal did not come"),
        rule(
            .names, "the certificate does not fit the routes", cause: "it is of another tunnel, or has no names",
            remedy: "`setup renew-cert`, or mend `tunnel_domain`"),
        rule(
            .issuer, "the certificate was not signed by the registered CA",
            sign: "log `tls handshake failed`, `reason=unknown certificate authority`",
            cause: "`tls.crt` and the CA are of different runs of `setup`, or the CA was changed",
            remedy: "`setup verify`, then `setup renew-cert`, or register the CA that signed it"),
        rule(
            .intermediates, "an intermediate CA stands between the certificate and the registered one",
            cause: "a corporate CA issued it"),
        rule(
            .authorityKeyIdentifier, "AuthorityKeyIdentifier is missing or another CA's",
            cause: "it was issued without the extension, or by an older CA of the same name"),
        rule(
            .extendedKeyUsage, "ExtendedKeyUsage lacks serverAuth", cause: "it was issued for clients or for signing"),
        rule(.keyUsage, "KeyUsage lacks digitalSignature", cause: "it was issued for another purpose"),
        rule(.notCA, "the server's certificate is itself a CA", cause: "`tls.cert_file` names the CA's file"),
        rule(
            .outlivesCA, "the certificate ends after its CA", level: .warn,
            sign: "the handshake fails from the CA's end on", cause: "the CA is near its end",
            remedy: "`setup rotate-ca`"),
        rule(
            .nameConstraints, "the CA's NameConstraints do not allow the certificate's names",
            cause: "the CA is restricted to other domains", remedy: "`setup rotate-ca` makes a CA without them"),
        rule(
            .readableKey, "the private key cannot be read", sign: "the proxy does not start",
            cause: "it has a passphrase, is of another kind than RSA or ECDSA, or is no PEM",
            remedy: "give one unencrypted PEM key"),
        rule(
            .keyMatches, "certificate and private key do not belong together", sign: "the proxy does not start",
            cause: "the two files are of different pairs"),
        rule(
            .keyStrength, "the key is too weak", cause: "RSA below 2048 bits, or a curve other than P-256 and stronger"),
        rule(.signatureDigest, "the signature uses an old digest", cause: "SHA-1 or MD5"),
        rule(
            .pem, "the certificate's file is no PEM", sign: "the proxy does not start, but where it is DER",
            cause: "it is DER, which other programs do not take, empty or damaged"),
        rule(
            .noPrivateKey, "the certificate's file holds a private key", sign: "whoever gets the file has the key",
            cause: "both were written into one file", remedy: "keep the key in a file of its own, and replace it"),
        rule(
            .singleCertificate, "the file holds more than one certificate", level: .warn,
            sign: "more is sent than must be", cause: "a chain was appended", remedy: "keep only the server's own block"
        ),
        rule(.extensions, "an extension is there twice or malformed", cause: "a faulty issuer"),
        rule(.criticalExtensions, "a critical extension is unknown to TLS", cause: "a special profile of the issuer"),
        rule(.serialNumber, "the serial number breaks RFC 5280", cause: "a faulty issuer"),
        rule(.dateForm, "the dates are written in another form than RFC 5280's", cause: "a faulty issuer"),
        rule(.version, "a certificate with extensions is not of version 3", cause: "a faulty issuer"),
        rule(
            .caBasicConstraints, "the CA is not marked as one", cause: "a server's certificate was taken for the CA",
            remedy: "`setup rotate-ca`"),
        rule(
            .caSubjectKeyIdentifier, "the CA has no SubjectKeyIdentifier", cause: "it was made by hand",
            remedy: "`setup rotate-ca`"),
        rule(
            .caKeyUsage, "the CA's KeyUsage lacks keyCertSign", cause: "it was made by hand",
            remedy: "`setup rotate-ca`"),
        rule(
            .caExtendedKeyUsage, "the CA's ExtendedKeyUsage lacks serverAuth", cause: "it was made by hand",
            remedy: "`setup rotate-ca`"),
        rule(
            .selfSignature, "the CA is not self-signed", level: .warn, cause: "it is an intermediate CA",
            remedy: "register the root, or `setup rotate-ca`"),
        rule(
            .size, "the CA's file is too large to be registered", sign: "the Console refuses it",
            cause: "text or more certificates stand in it", remedy: "keep only the CA's own block"),
        rule(
            .textAround, "there is text around the CA's PEM block", level: .warn, sign: "the Console may refuse it",
            cause: "`openssl` wrote the text form too", remedy: "keep only the block"),
    ]
}
