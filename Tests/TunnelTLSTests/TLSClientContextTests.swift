import Testing
import TunnelCore
import TunnelTLS

@Suite struct TLSClientContextTests {
    static let goodNames = [
        "localhost", "LOCALHOST", "localhost.", "a.example.com", "127.0.0.1", "::1", "[::1]", "0:0:0:0:0:0:0:1",
    ]
    @Test(arguments: goodNames) func acceptsTheNamesOfTheCertificate(_ name: String) throws {
        var pipe = try TestConnection(TestContexts(), serverName: name)
        try pipe.run()
        #expect(pipe.server.isHandshakeComplete == true)
        let isAddress = name.contains(":") || name.first == "1"
        #expect((pipe.server.serverName == nil) == isAddress, "RFC 6066 §3: no address in SNI")
    }

    static let badNames = [
        "example.com", "a.b.example.com", "127.0.0.2", "::2", "localhos", "xlocalhost", "example.com.localhost",
    ]
    @Test(arguments: badNames) func refusesOtherNames(_ name: String) throws {
        var pipe = try TestConnection(TestContexts(), serverName: name)
        try pipe.deliverToServer()
        let error = #expect(throws: TLSError.self) { try pipe.deliverToClient() }
        #expect(error?.reason.contains("mismatch") == true)
        let alert = #expect(throws: TLSError.self) { try pipe.deliverToServer() }
        #expect(alert?.alert?.value == 42 && alert?.description == "remote error: tls: bad certificate")
    }

    /// RFC 6125 §6.4.3 lets a wildcard be a part of a label; no CA issues such names, and OpenSSL would match them.
    @Test(arguments: ["w*.example.com", "*w.example.com", "w*w.example.com"])
    func refusesPartialWildcards(_ pattern: String) throws {
        let pair = TestPKI.signed(
            "partial\(pattern.utf8.count)\(pattern.first == "*")", TestPKI.p256,
            extension: "subjectAltName=DNS:\(pattern)")
        var pipe = try TestConnection(TestContexts(pair), serverName: "www.example.com")
        let error = #expect(throws: TLSError.self) { try pipe.run() }
        #expect(error?.reason.contains("mismatch") == true)
        #expect(pipe.client.isHandshakeComplete == false)
    }

    static let noNames = [
        "", ".", "a b", "a\u{0}b", "127.0.0.1\u{0}", "a\nb", "ä.example", "*.example.com", "[]",
        String(repeating: "a", count: 254),
    ]
    @Test(arguments: noNames) func refusesWhatIsNoName(_ name: String) throws {
        let client = try TestContexts().client
        #expect(throws: TLSError.self) { _ = try TLSEngine(client: client, serverName: name) }
    }

    @Test func commonNameCountsForNothing() throws {
        var pipe = try TestConnection(TestContexts(TestPKI.nameless))
        #expect(throws: TLSError.self) { try pipe.run() }
    }

    static let distrusted: [(TestPair, TestPair, alert: UInt8, name: String)] = [
        (TestPKI.leaf, TestPKI.stranger, 48, "unknown certificate authority"),
        (TestPKI.expired, TestPKI.authority, 45, "certificate expired"),
    ]
    @Test(arguments: distrusted, TLSVersion.allCases)
    func tellsTheServerWhy(
        _ row: (pair: TestPair, trust: TestPair, alert: UInt8, name: String), _ version: TLSVersion
    ) throws {
        var pipe = try TestConnection(TestContexts(row.pair, version: version, trust: row.trust.certificate))
        try pipe.deliverToServer()
        let ours = #expect(throws: TLSError.self) { try pipe.deliverToClient() }
        #expect(ours?.alert == TLSAlert(value: row.alert, isFromPeer: false))
        #expect(ours?.reason.contains("certificate verify failed") == true)
        let theirs = #expect(throws: TLSError.self) { try pipe.deliverToServer() }
        #expect(theirs?.alert == TLSAlert(value: row.alert, isFromPeer: true))
        #expect(theirs?.alert?.name == row.name && theirs?.operation == "handshake")
        #expect(theirs?.description == "remote error: tls: \(row.name)")
        #expect(pipe.server.isHandshakeComplete == false)
    }

    @Test func aServersOwnCertificateMayBeTheAnchor() throws {
        var pipe = try TestConnection(TestContexts(trust: TestPKI.leaf.certificate))
        try pipe.run()
        #expect(pipe.client.isHandshakeComplete == true)
    }
}
