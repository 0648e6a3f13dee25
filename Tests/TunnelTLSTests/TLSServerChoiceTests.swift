import COpenSSL
import Testing
import TunnelCore
import TunnelPKI

@testable import TunnelTLS

/// Several servers behind one listener: `a.example` and `b.example`, of which each has keys and sessions of its own.
@Suite struct TLSServerChoiceTests {
    private struct Servers {
        let a: ServerCredentials
        let b: ServerCredentials
        let choice: TLSServerChoice

        init(
            _ version: TLSVersion = .tls13, a first: TestPair = TestPKI.leaf, b second: TestPair = TestPKI.rsa,
            options: TLSServerOptions? = nil
        ) throws {
            let options = options ?? TLSServerOptions(minVersion: version, maxVersion: version, alpn: ["http/1.1"])
            a = try ServerCredentials(
                identity: first.identity(), options: options, scope: TLSServerScope(name: "a.example", number: 7))
            b = try ServerCredentials(
                identity: second.identity(), options: options, scope: TLSServerScope(name: "b.example", number: 8))
            choice = try TLSServerChoice([("A.example", a), ("b.example", b)], options: options)
        }
    }

    /// A handshake in which the client names `name`; the certificate's names are not looked at.
    private struct Live: ~Copyable {
        var client: TLSEngine
        var server: TLSEngine
        var pauses = 0

        init(_ choice: TLSServerChoice, _ name: String?, session: TLSClientSession? = nil) throws {
            let context = try TLSClientContext(inspecting: TLSClientOptions(alpn: ["http/1.1"]))
            var client = try TLSEngine(client: context, serverName: "localhost", session: session)
            _ = COpenSSL_set_server_name(client.ssl, name)
            var server = try TLSEngine(choice: choice, pausesBeforeSigning: true)
            var toServer = ByteBuffer(), toClient = ByteBuffer(), plaintext = ByteBuffer()
            try client.start(output: &toServer)
            while !toServer.isEmpty || !toClient.isEmpty {
                let flight = toServer.take()
                var progress = try server.process(flight, plaintext: &plaintext, output: &toClient)
                if progress.awaitsSignature {
                    pauses += 1
                    try server.sign(output: &toClient)
                    progress = try server.process(
                        Array(flight[progress.consumed...]), plaintext: &plaintext, output: &toClient)
                }
                _ = try client.process(toClient.take(), plaintext: &plaintext, output: &toServer)
            }
            self.client = client
            self.server = server
        }

        func session() throws -> TLSClientSession {
            let session = client.session
            return try #require(session)
        }
    }

    @Test(arguments: TLSVersion.allCases)
    func theClientsNameChooses(_ version: TLSVersion) throws {
        let servers = try Servers(version)
        for (name, number, credentials) in [
            ("a.example", 7, servers.a), ("x.A.Example", 7, servers.a), ("y.x.a.example", 7, servers.a),
            ("b.example", 8, servers.b), ("a.example.b.example", 8, servers.b),
        ] {
            let live = try Live(servers.choice, name)
            #expect(live.server.serverNumber == number, "\(name)")
            #expect(live.client.peerFingerprint == credentials.current.identity.fingerprint, "\(name)")
            #expect(live.server.alpn == "http/1.1" && live.client.version == version)
        }
    }

    /// RSA waits for its signature, P-256 does not, whatever the others do.
    @Test func onlyTheChosenOnesKeyCounts() throws {
        let servers = try Servers()
        let a = try Live(servers.choice, "a.example"), b = try Live(servers.choice, "b.example")
        #expect(a.pauses == 0 && b.pauses == 1)
    }

    @Test(
        arguments: [
            nil, "c.example", "example", "xa.example", "localhost", "a.example.",
            String(repeating: "a.", count: 120) + "x",
        ], TLSVersion.allCases)
    func aNameOfNobodyIsRefused(_ name: String?, _ version: TLSVersion) throws {
        let choice = try Servers(version).choice
        let error = #expect(throws: TLSError.self) { _ = try Live(choice, name) }
        #expect(error?.alert == TLSAlert(value: 112, isFromPeer: false))
    }

    /// A ticket of `a` is none at `b`: not with keys of their own, not with shared ones, and not under the same chain.
    @Test(arguments: TLSVersion.allCases, [false, true])
    func sessionsDoNotCross(_ version: TLSVersion, _ isShared: Bool) throws {
        let servers = try Servers(version, b: isShared ? TestPKI.leaf : TestPKI.rsa)
        if isShared {
            let file = try TicketKeyFile.generate(now: 0)
            try servers.a.ticketKeys.share(file)
            try servers.b.ticketKeys.share(file)
        }
        let first = try Live(servers.choice, "a.example").session()
        // At home it is good, or the rest would prove nothing.
        let again = try Live(servers.choice, "x.a.example", session: first)
        #expect(again.server.isResumed && again.client.isResumed && again.server.serverNumber == 7)
        let elsewhere = try Live(servers.choice, "b.example", session: try again.session())
        #expect(!elsewhere.server.isResumed && !elsewhere.client.isResumed)
        #expect(elsewhere.server.serverNumber == 8)
        #expect(elsewhere.client.peerFingerprint == servers.b.current.identity.fingerprint)
        let home = try Live(servers.choice, "b.example", session: try elsewhere.session())
        #expect(home.server.isResumed && home.server.serverNumber == 8)
    }

    /// A context of the choice gives no tickets where its servers do not.
    @Test(arguments: TLSVersion.allCases) func givesNoTicketsWhereThereAreNone(_ version: TLSVersion) throws {
        let servers = try Servers(
            options: TLSServerOptions(minVersion: version, maxVersion: version, sessionTickets: false))
        let live = try Live(servers.choice, "a.example")
        #expect(live.client.session == nil)
    }

    /// A new identity of one server counts at once, and what is under way goes on.
    @Test func anIdentityChangesInItsPlace() throws {
        let servers = try Servers()
        let before = servers.a.current.identity.fingerprint
        try servers.a.replace(with: TestPKI.rsa.identity())
        let live = try Live(servers.choice, "a.example")
        #expect(live.client.peerFingerprint == servers.a.current.identity.fingerprint && live.server.serverNumber == 7)
        #expect(live.client.peerFingerprint != before)
    }

    /// The contexts that a connection has met live as long as it does.
    @Test func aConnectionOutlivesItsChoice() throws {
        var servers: Servers? = try Servers()
        var live = try Live(try #require(servers).choice, "a.example")
        servers = nil
        var records = ByteBuffer(), plaintext = ByteBuffer()
        try live.server.write([1, 2, 3].span, output: &records)
        _ = try live.client.process(records.take(), plaintext: &plaintext, output: &records)
        #expect(plaintext.array == [1, 2, 3] && live.server.serverNumber == 7)
    }

    @Test func refusesDomainsThatCannotBeToldApart() throws {
        let servers = try Servers()
        for list in [
            [("a.example", servers.a), ("A.EXAMPLE", servers.b)],
            [("a.example", servers.a), ("b.a.example", servers.b)],
            [("", servers.a)],
        ] {
            #expect(throws: TLSError.self) { try TLSServerChoice(list, options: servers.a.options) }
        }
    }

    static let extensions: [(bytes: [UInt8], name: String?)] = [
        ([0, 4, 0, 0, 1, 0x61], "a"), ([0, 3, 0, 0, 0], nil), ([], nil), ([0, 4, 1, 0, 1, 0x61], nil),
        ([0, 5, 0, 0, 1, 0x61], nil), ([0, 4, 0, 0, 2, 0x61], nil), ([0, 8, 0, 0, 1, 0x61, 0, 0, 1, 0x62], nil),
        ([0, 4, 0, 0, 1, 0x61, 0], nil), ([0], nil), ([0, 4, 0, 0, 1], nil),
    ]
    @Test(arguments: extensions)
    func readsExactlyOneName(_ row: (bytes: [UInt8], name: String?)) {
        let found = row.bytes.withUnsafeBufferPointer { bytes in
            hostName(bytes).map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(found == row.name)
    }
}
