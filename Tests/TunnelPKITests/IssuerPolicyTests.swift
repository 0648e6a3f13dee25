import Testing

@testable import TunnelPKI

/// Who signed the server's certificate, and does it say so.
@Suite struct IssuerPolicyTests {
    let mint: Mint

    init() throws { mint = try Mint() }

    private func found(_ certificate: Certificate, authority: Certificate? = nil) -> [String] {
        mint.findings(certificate, authority: authority).map { "\($0.rule): \($0.found)" }
    }

    @Test func namesAnotherIssuer() throws {
        let other = try CertificateAuthority.generate(commonName: "other-ca", now: Mint.now)
        let server = try mint.server(issuer: other.certificate, issuerKey: other.key)
        #expect(mint.checkServer(server) == ["error server-issuer", "error server-authority-key-identifier"])
        #expect(found(server).first == #"server-issuer: its issuer is "CN=other-ca", the CA is "CN=mcp-tunnel-ca""#)
    }

    @Test func recognisesRegeneratedAuthority() throws {
        let again = try CertificateAuthority.generate(now: Mint.now)
        let findings = mint.findings(try mint.server(), authority: again.certificate)
        #expect(summary(findings) == ["error server-issuer", "error server-authority-key-identifier"])
        #expect(findings.first?.found.contains("another key signed it") == true)
        #expect(findings.first?.remedy.contains("made anew") == true)
    }

    @Test func noticesWrongIssuerName() throws {
        let renamed = try mint.authority { $0.commonName = "renamed" }
        let server = try mint.server(issuer: renamed)
        #expect(mint.checkServer(server) == ["error server-issuer"])
        #expect(
            found(server).first?.contains(#"names "CN=renamed" as issuer and the CA is "CN=mcp-tunnel-ca""#) == true)
    }

    @Test func recognisesSelfSigned() throws {
        let lone = try mint.authority(key: mint.serverKey) {
            $0.commonName = Mint.domain
            $0.extensions = [.subjectAlternativeNames(["*." + Mint.domain])]
        }
        #expect(mint.checkServer(lone) == ["error server-issuer", "error server-authority-key-identifier"])
        #expect(found(lone).first == "server-issuer: it is self-signed")
    }

    @Test func recognisesTheAuthorityItself() throws {
        #expect(found(mint.authority.certificate).first == "server-issuer: it is the CA's own certificate")
    }

    @Test func recognisesIntermediates() throws {
        let key = try PrivateKey.generate(.ecdsaP256)
        let intermediate = try mint.server(key: key) {
            $0.commonName = "intermediate"
            $0.replace(OID.basicConstraints, with: .basicConstraints(isAuthority: true))
            $0.replace(OID.keyUsage, with: .keyUsage([.keyCertSign]))
        }
        let leaf = try mint.server(issuer: intermediate, issuerKey: key)
        let findings = CertificateRequirements(now: Mint.now).checkServer(
            file: leaf.pem + intermediate.pem, authorityFile: mint.authority.certificate.pem, tunnelDomain: Mint.domain)
        #expect(
            summary(findings) == [
                "warning single-certificate", "error server-intermediates", "error server-authority-key-identifier",
            ])
        #expect(findings.contains { $0.found.contains(#""CN=intermediate""#) })
    }

    /// A leaf that the CA signed is right even with the CA's certificate behind it, which is merely of no use.
    @Test func allowsTheAuthorityBehindTheLeaf() throws {
        let findings = CertificateRequirements(now: Mint.now).checkServer(
            file: try mint.server().pem + mint.authority.certificate.pem,
            authorityFile: mint.authority.certificate.pem, tunnelDomain: Mint.domain)
        #expect(summary(findings) == ["warning single-certificate"])
    }

    @Test func comparesKeyIdentifiers() throws {
        let absent = try mint.server { $0.replace(OID.authorityKeyIdentifier) }
        #expect(mint.checkServer(absent) == ["error server-authority-key-identifier"])
        let different = try mint.server {
            $0.replace(OID.authorityKeyIdentifier, with: .authorityKeyIdentifier([0xAB, 0x01]))
        }
        #expect(mint.checkServer(different) == ["error server-authority-key-identifier"])
        #expect(
            found(different).first?.contains("AuthorityKeyIdentifier is ab:01, the CA's SubjectKeyIdentifier is ")
                == true)
        // An issuer and serial, but no keyid: the extension is there and the field is not.
        let withoutKey = try mint.server {
            $0.replace(
                OID.authorityKeyIdentifier,
                with: .init(OID.authorityKeyIdentifier, isCritical: false, value: [0x30, 0x00]))
        }
        #expect(mint.checkServer(withoutKey) == ["error server-authority-key-identifier"])
    }

    @Test func needsTheAuthoritysKeyIdentifier() throws {
        let bare = try mint.authority { $0.replace(OID.subjectKeyIdentifier) }
        let findings = mint.findings(try mint.server(), authority: bare)
        #expect(summary(findings) == ["error server-authority-key-identifier"])
        #expect(findings.first?.found == "the CA has no SubjectKeyIdentifier to compare with")
    }

    @Test func honoursNameConstraints() throws {
        // NameConstraints ::= SEQUENCE { permittedSubtrees [0] { { dNSName [2] "other.example" } } }
        let subtree = DER.sequence(DER.contextual(2, bytes("other.example")))
        let constraint = CertificateTemplate.Extension(
            OID.nameConstraints, isCritical: true, value: DER.sequence(DER.element(0xA0, subtree)))
        let authority = try mint.authority { $0.extensions.append(constraint) }
        #expect(mint.checkAuthority(authority).isEmpty)
        #expect(mint.checkServer(try mint.server(), authority: authority) == ["error ca-name-constraints"])
        let inside = try mint.server {
            $0.commonName = "other.example"
            $0.replace(OID.subjectAlternativeName, with: .subjectAlternativeNames(["*.other.example"]))
        }
        #expect(mint.checkServer(inside, authority: authority, domain: "other.example").isEmpty)
    }
}
