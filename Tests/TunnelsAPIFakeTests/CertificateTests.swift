import Foundation
import Testing
import TunnelPKI
import TunnelsAPIFake

/// What may be registered as a tunnel's CA, and how many.
@Suite struct CertificateTests {
    private let client: FakeClient
    private let tunnel: String

    init() throws {
        client = try FakeClient(FakeClient.api())
        tunnel = try client.create("t")
    }

    private func authority() throws -> CertificateAuthority { try .fresh(client.api) }

    @Test func aCertificateIsKnownByItsFingerprint() throws {
        let authority = try authority()
        let answer = client.add(authority.pem, to: tunnel)
        let certificate = answer.json
        let id = try #require(certificate["id"]?.text)
        #expect(answer.status == 200 && id.hasPrefix("tcrt_01") && certificate["type"] == "tunnel_certificate")
        #expect(certificate["tunnel_id"]?.text == tunnel && certificate["archived_at"] == .null)
        let digest = try OpenSSLCommand.run(["dgst", "-sha256", "-r"], input: authority.certificate.der)
        #expect(certificate["fingerprint"]?.text == String(digest.prefix(64)))
        #expect(certificate["created_at"] == "2027-01-15T08:00:00.000123Z")
        #expect(certificate["expires_at"] == "2032-01-15T08:00:00.000Z", "1826 days later")
        #expect(client.send("GET", "/\(tunnel)/certificates/\(id)").json == certificate)
        #expect(client.send("GET", "/\(tunnel)/certificates").json["data"] == [certificate])
        let event = try #require(client.api.audit.last)
        #expect(event.kind == .certificateAdded && event.fingerprint == certificate["fingerprint"]?.text)
        #expect(event.certificateID == id && event.tunnelID == tunnel)
        #expect(client.api.certificates.map(\.pem) == [authority.pem])
    }

    @Test func twoAtATime() throws {
        let first = try authority().pem
        let id = try #require(client.add(first, to: tunnel).json["id"]?.text)
        #expect(client.add(try authority().pem, to: tunnel).status == 200)
        let third = client.add(try authority().pem, to: tunnel)
        #expect(third.status == 400 && third.errorType == "invalid_request_error")
        #expect(third.message.contains("maximum of 2"))
        #expect(client.send("POST", "/\(tunnel)/certificates/\(id)/archive").status == 200)
        #expect(client.add(first, to: tunnel).status == 200, "an archived one may come back")
        let list = client.send("GET", "/\(tunnel)/certificates")
        #expect(list.ids.count == 2 && !list.ids.contains(id))
        #expect(client.send("GET", "/\(tunnel)/certificates?include_archived=true").ids.count == 3)
    }

    @Test func theSameOnceMore() throws {
        let pem = try authority().pem
        #expect(client.add(pem, to: tunnel).status == 200)
        let again = client.add(pem, to: tunnel)
        #expect(again.status == 409 && again.errorType == "conflict_error")
        #expect(client.add(pem, to: try client.create("other")).status == 200, "another tunnel may have it too")
    }

    @Test func revokingTheLastOneIsAllowedAndIdempotent() throws {
        let id = try #require(client.add(try authority().pem, to: tunnel).json["id"]?.text)
        let revoked = client.send("POST", "/\(tunnel)/certificates/\(id)/archive").json
        #expect(revoked["archived_at"]?.text != nil)
        client.api.advance(bySeconds: 5)
        #expect(client.send("POST", "/\(tunnel)/certificates/\(id)/archive").json == revoked)
        #expect(client.api.audit.count { $0.kind == .certificateRevoked } == 1)
        let other = try client.create("other")
        #expect(client.send("GET", "/\(other)/certificates/\(id)").status == 404, "it belongs to its tunnel")
    }

    @Test func pagesInTheSecondGenerationOnly() throws {
        for _ in 0..<3 {
            let id = try #require(client.add(try authority().pem, to: tunnel).json["id"]?.text)
            #expect(client.send("POST", "/\(tunnel)/certificates/\(id)/archive").status == 200)
        }
        let path = "/\(tunnel)/certificates?include_archived=true&limit=2"
        let page = client.send("GET", path)
        let cursor = try #require(page.json["next_page"]?.text)
        let rest = client.send("GET", path + "&page=" + cursor)
        #expect(page.ids + rest.ids == client.api.certificates.map(\.id).reversed())
        #expect(rest.json["next_page"] == .null)

        let first = try FakeClient(FakeClient.api(.first), .first)
        let tunnel = first.api.makeTunnel().id
        for _ in 0..<2 { #expect(first.add(try authority().pem, to: tunnel).status == 200) }
        let whole = first.send("GET", "/\(tunnel)/certificates?limit=1")
        #expect(whole.ids.count == 2 && whole.json["next_page"] == .null)
    }

    // MARK: What is refused

    private func refusal(_ pem: String) -> String {
        let answer = client.add(pem, to: tunnel)
        #expect(answer.status == 400 && answer.errorType == "invalid_request_error", "\(answer.text)")
        #expect(client.api.certificates.isEmpty)
        return answer.message
    }

    @Test func filesThatAreNotOneCertificate() throws {
        let authority = try authority()
        let pem = authority.pem
        let key = String(decoding: try authority.key.pem, as: UTF8.self)
        #expect(refusal("") == "ca_certificate_pem must contain a valid X.509 certificate")
        #expect(refusal("hello").contains("valid X.509"))
        #expect(refusal(pem.replacing("M", with: "!")).contains("valid X.509"))
        #expect(refusal(pem + pem) == "ca_certificate_pem must contain exactly one certificate")
        #expect(refusal(pem + (try self.authority().pem)).contains("exactly one"))
        #expect(refusal(pem + key) == "ca_certificate_pem must not contain private-key material")
        #expect(refusal(key).contains("private-key"))
    }

    @Test func eightKilobytes() throws {
        let pem = try authority().pem
        let padding = { (count: Int) in pem + String(repeating: "\n", count: count - pem.utf8.count) }
        #expect(refusal(padding(8193)) == "ca_certificate_pem must have at most 8192 bytes")
        #expect(client.add(padding(8192), to: tunnel).status == 200)
    }

    @Test func aTimeThatIsNotNow() throws {
        let authority = try CertificateAuthority.fresh(client.api, validity: .seconds(60))
        client.api.advance(bySeconds: 61)
        #expect(refusal(authority.pem).contains("valid now"))
        client.api.advance(bySeconds: -61 - 301)
        #expect(refusal(authority.pem).contains("valid now"), "it starts five minutes before it was made")
        client.api.advance(bySeconds: 301)
        #expect(client.add(authority.pem, to: tunnel).status == 200)
    }

    /// Made by OpenSSL with one thing wrong each; the message names the requirement.
    @Test(arguments: [
        (["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "CA:FALSE", "keyCertSign", "BasicConstraints"),
        (["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "CA:TRUE", "digitalSignature", "keyCertSign"),
        (["-newkey", "rsa:1024"], "CA:TRUE", "keyCertSign", "RSA of at least 2048"),
        (["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-224"], "CA:TRUE", "keyCertSign", "P-256 or stronger"),
        (["-newkey", "rsa:2048", "-sha1"], "CA:TRUE", "keyCertSign", "SHA-256 or stronger"),
    ])
    func certificatesThatFallShort(_ key: [String], _ constraints: String, _ usage: String, _ rule: String) throws {
        // OpenSSL 3.0 makes certificates from now on only, so this one has the real clock.
        let client = try FakeClient(FakeTunnelsAPI())
        let pem = try OpenSSLCommand.run(
            ["req", "-x509", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=t"] + key + [
                "-addext", "basicConstraints=critical,\(constraints)", "-addext", "keyUsage=critical,\(usage)",
            ])
        let answer = client.add(pem, to: try client.create())
        #expect(answer.status == 400 && answer.message.contains(rule), "\(answer.text)")
    }

    /// The counterpart of those above.
    @Test func whatOpenSSLMakesPasses() throws {
        let client = try FakeClient(FakeTunnelsAPI())
        let pem = try OpenSSLCommand.run([
            "req", "-x509", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=t", "-newkey", "rsa:2048", "-addext",
            "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign",
        ])
        #expect(client.add(pem, to: try client.create()).status == 200)
    }
}
