/// One point in which a file falls short of what a tunnel needs: the rule, what was found, and what to do.
public struct Finding: Hashable, Sendable, CustomStringConvertible {
    /// How bad it is. An `error` breaks a published requirement or makes the other side refuse; a `warning` works, or
    /// works today.
    public enum Severity: String, Sendable, Comparable, CaseIterable {
        case warning, error
        public static func < (a: Self, b: Self) -> Bool { a == .warning && b == .error }
    }

    /// The file that the finding is about.
    @nonexhaustive
    public enum Document: String, Sendable, CaseIterable {
        case ca = "CA certificate"
        case server = "server certificate"
        case key = "private key"
        case caKey = "CA's private key"
    }

    public let rule: Rule
    public let severity: Severity
    public let document: Document
    /// What the file holds, in words; never key material.
    public let found: String
    /// What to do about it.
    public let remedy: String

    /// The same about another file.
    package func about(_ document: Document) -> Finding {
        Finding(rule: rule, severity: severity, document: document, found: found, remedy: remedy)
    }

    public var description: String {
        "\(severity): \(document.rawValue): \(found). Required: \(rule.requirement). Remedy: \(remedy). [\(rule.id)]"
    }
}

extension Finding {
    /// A requirement with its stable name. Equal when the names are.
    public struct Rule: Hashable, Sendable, CustomStringConvertible {
        /// For programs and searches, for example `ca-basic-constraints`.
        public let id: String
        /// The requirement in half a sentence.
        public let requirement: String
        public var description: String { id }
        public static func == (a: Rule, b: Rule) -> Bool { a.id == b.id }
        public func hash(into hasher: inout Hasher) { hasher.combine(id) }
    }
}

extension Sequence<Finding> {
    /// Whether at least one finding is an error.
    public var hasErrors: Bool { contains { $0.severity == .error } }
}

/// All rules. The first three groups are what Anthropic publishes for a tunnel's certificates; the last is what
/// RFC 5280 and TLS stacks demand besides.
extension Finding.Rule {
    // The file.
    public static let pem = Self(id: "pem", requirement: "the file is PEM and holds a certificate")
    public static let singleCertificate = Self(
        id: "single-certificate", requirement: "the file holds exactly one certificate")
    public static let noPrivateKey = Self(id: "no-private-key", requirement: "the file holds no private key")
    public static let size = Self(id: "size", requirement: "the file has at most 8 kB")
    public static let textAround = Self(id: "text-around", requirement: "nothing stands outside the PEM block")

    // Every certificate.
    public static let currentlyValid = Self(id: "currently-valid", requirement: "the certificate is valid now")
    public static let expiresSoon = Self(id: "expires-soon", requirement: "the certificate stays valid for a while")
    public static let keyStrength = Self(
        id: "key-strength", requirement: "the key is RSA of at least 2048 bits or ECDSA on P-256 or stronger")
    public static let signatureDigest = Self(
        id: "signature-digest", requirement: "the signature is made with SHA-256 or stronger")

    // The CA.
    public static let caBasicConstraints = Self(
        id: "ca-basic-constraints", requirement: "BasicConstraints is present, critical and says CA:TRUE")
    public static let caSubjectKeyIdentifier = Self(
        id: "ca-subject-key-identifier", requirement: "SubjectKeyIdentifier is present")
    public static let caExtendedKeyUsage = Self(
        id: "ca-extended-key-usage",
        requirement: "ExtendedKeyUsage of a CA, if present, includes serverAuth, or clients trust no server under it")
    public static let caKeyUsage = Self(id: "ca-key-usage", requirement: "KeyUsage includes keyCertSign")

    // The server's certificate.
    public static let issuer = Self(
        id: "server-issuer", requirement: "the certificate is signed directly by the registered CA")
    public static let intermediates = Self(
        id: "server-intermediates", requirement: "no intermediate stands between the certificate and the registered CA")
    public static let authorityKeyIdentifier = Self(
        id: "server-authority-key-identifier",
        requirement: "AuthorityKeyIdentifier is present and equal to the CA's SubjectKeyIdentifier; an issuer and a "
            + "serial number in it are the CA's")
    public static let names = Self(
        id: "server-names", requirement: "a DNS name among the subject alternative names matches each route's host")
    public static let extendedKeyUsage = Self(
        id: "server-extended-key-usage", requirement: "ExtendedKeyUsage, if present, includes serverAuth")

    // The key that goes with it.
    public static let readableKey = Self(
        id: "key-readable", requirement: "the file holds one private key, RSA or ECDSA, without a passphrase")
    public static let keyMatches = Self(id: "key-matches", requirement: "key and certificate belong together")

    // Standards.
    public static let extensions = Self(
        id: "extensions", requirement: "each extension is there once and parses (RFC 5280 section 4.2)")
    public static let criticalExtensions = Self(
        id: "critical-extensions", requirement: "no critical extension is unknown to TLS peers (RFC 5280 section 4.2)")
    public static let serialNumber = Self(
        id: "serial-number", requirement: "the serial number is positive and has at most 20 bytes (RFC 5280 4.1.2.2)")
    public static let selfSignature = Self(
        id: "ca-self-signature",
        requirement: "the CA is self-signed: clients that look for a root take no other, and its signature verifies")
    public static let dateForm = Self(
        id: "date-form", requirement: "dates are UTCTime YYMMDDHHMMSSZ, from 2050 GeneralizedTime (RFC 5280 4.1.2.5)")
    public static let version = Self(
        id: "version", requirement: "a certificate with extensions is of version 3 (RFC 5280 4.1.2.1)")
    public static let keyUsage = Self(
        id: "server-key-usage", requirement: "KeyUsage, if present, includes digitalSignature (RFC 8446 4.4.2.2)")
    public static let notCA = Self(
        id: "server-not-authority", requirement: "a server's certificate is not itself a CA")
    public static let outlivesCA = Self(
        id: "server-outlives-ca", requirement: "the certificate ends no later than its CA")
    public static let nameConstraints = Self(
        id: "ca-name-constraints", requirement: "the CA's NameConstraints allow the certificate's names")
}
