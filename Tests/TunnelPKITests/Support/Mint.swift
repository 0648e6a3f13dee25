@testable import TunnelPKI

/// Mints certificates that are right except where a test says otherwise.
struct Mint {
    static let domain = "abc123.tunnel.example"
    static let now: Int64 = 1_800_000_000
    static let day: Int64 = 86_400

    /// The ways an edit can reach into a template.
    typealias Edit = (inout CertificateTemplate) -> Void

    let authority: CertificateAuthority
    let serverKey: PrivateKey

    init() throws {
        authority = try CertificateAuthority.generate(now: Self.now)
        serverKey = try PrivateKey.generate(.ecdsaP256)
    }

    /// A CA as the product makes it, after `edit`.
    func authority(key: PrivateKey? = nil, _ edit: Edit = { _ in }) throws -> Certificate {
        let key = key ?? authority.key
        var template = CertificateTemplate(
            commonName: "mcp-tunnel-ca", notBefore: Self.now - 300, notAfter: Self.now + 1_826 * Self.day,
            extensions: [
                .basicConstraints(isAuthority: true), .keyUsage([.keyCertSign, .crlSign]),
                .subjectKeyIdentifier(try key.keyIdentifier),
            ])
        edit(&template)
        return try template.signed(for: key, issuer: nil, issuerKey: key)
    }

    /// A server's certificate as the product makes it, after `edit`.
    func server(
        key: PrivateKey? = nil, issuer: Certificate? = nil, issuerKey: PrivateKey? = nil, _ edit: Edit = { _ in }
    ) throws -> Certificate {
        let key = key ?? serverKey
        let issuer = issuer ?? authority.certificate
        var template = CertificateTemplate(
            commonName: Self.domain, notBefore: Self.now - 300, notAfter: Self.now + 90 * Self.day,
            extensions: [
                .basicConstraints(isAuthority: false), .keyUsage([.digitalSignature]), .serverAuthentication,
                .subjectKeyIdentifier(try key.keyIdentifier),
                .authorityKeyIdentifier(issuer.extensions.subjectKeyIdentifier ?? []),
                .subjectAlternativeNames([Self.domain, "*." + Self.domain]),
            ])
        edit(&template)
        return try template.signed(for: key, issuer: issuer, issuerKey: issuerKey ?? authority.key)
    }

    /// What the validator says of a CA, as `severity id` in order.
    func checkAuthority(_ certificate: Certificate, now: Int64 = Mint.now) -> [String] {
        summary(CertificateRequirements(now: now).checkAuthority(file: certificate.pem))
    }

    /// What the validator says of a server's certificate, as `severity id` in order.
    func checkServer(
        _ certificate: Certificate, authority: Certificate? = nil, domain: String = Mint.domain, hosts: [String] = [],
        now: Int64 = Mint.now
    ) -> [String] {
        summary(findings(certificate, authority: authority, domain: domain, hosts: hosts, now: now))
    }

    func findings(
        _ certificate: Certificate, authority: Certificate? = nil, domain: String = Mint.domain, hosts: [String] = [],
        now: Int64 = Mint.now
    ) -> [Finding] {
        CertificateRequirements(now: now).checkServer(
            file: certificate.pem, authorityFile: (authority ?? self.authority.certificate).pem, tunnelDomain: domain,
            hosts: hosts)
    }
}

func summary(_ findings: [Finding]) -> [String] { findings.map { "\($0.severity) \($0.rule)" } }

extension CertificateTemplate {
    /// Takes an extension out, or puts another in its place.
    mutating func replace(_ identifier: String, with other: Extension? = nil) {
        extensions.removeAll { $0.identifier == identifier }
        if let other { extensions.append(other) }
    }
}

/// Dotted forms of the extensions that tests take out.
enum OID {
    static let subjectKeyIdentifier = "2.5.29.14"
    static let keyUsage = "2.5.29.15"
    static let subjectAlternativeName = "2.5.29.17"
    static let basicConstraints = "2.5.29.19"
    static let nameConstraints = "2.5.29.30"
    static let authorityKeyIdentifier = "2.5.29.35"
    static let extendedKeyUsage = "2.5.29.37"
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// The little DER (X.690) for what the product never writes: built from the inside out, nothing is ever patched.
enum DER {
    static func sequence(_ parts: [UInt8]...) -> [UInt8] { element(0x30, Array(parts.joined())) }
    /// A context-specific, primitive tag.
    static func contextual(_ tag: UInt8, _ bytes: [UInt8]) -> [UInt8] { element(0x80 | tag, bytes) }

    /// A small number, 0...127.
    static func integer(_ value: UInt8) -> [UInt8] { element(0x02, [value & 0x7F]) }

    /// An object identifier from its numbers; the first two share a byte (X.690 §8.19.4).
    static func objectIdentifier(_ numbers: [UInt64]) -> [UInt8] {
        guard numbers.count >= 2 else { return element(0x06, []) }
        var contents: [UInt8] = []
        for number in [numbers[0] * 40 + numbers[1]] + numbers[2...] {
            var groups = [UInt8(number & 0x7F)]
            var rest = number >> 7
            while rest > 0 {
                groups.append(UInt8(rest & 0x7F) | 0x80)
                rest >>= 7
            }
            contents.append(contentsOf: groups.reversed())
        }
        return element(0x06, contents)
    }

    static func element(_ tag: UInt8, _ contents: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        if contents.count < 0x80 {
            length = [UInt8(contents.count)]
        } else {
            var rest = contents.count
            while rest > 0 {
                length.insert(UInt8(truncatingIfNeeded: rest), at: 0)
                rest >>= 8
            }
            length.insert(0x80 | UInt8(length.count), at: 0)
        }
        return [tag] + length + contents
    }
}
