import Testing
import TunnelCore
import TunnelTLS

@Suite struct TLSServerContextTests {
    static let offers: [(server: [String], client: [String], chosen: String?)] = [
        (["h2", "http/1.1"], ["http/1.1", "h2"], "h2"),
        (["http/1.1", "h2"], ["h2", "http/1.1"], "http/1.1"),
        (["http/1.1"], ["h2", "spdy/3", "http/1.1"], "http/1.1"),
        (["http/1.1"], ["h2"], nil),
        (["http/1.1"], ["http/1.10", "http/1."], nil),
        (["http/1.1"], ["spdy/3.1"], nil),
        (["http/1.1"], [], nil),
        ([], ["http/1.1"], nil),
    ]
    @Test(arguments: offers, TLSVersion.allCases)
    func choosesTheProtocol(_ row: (server: [String], client: [String], chosen: String?), _ version: TLSVersion) throws
    {
        let contexts = try TestContexts(version: version, serverALPN: row.server, clientALPN: row.client)
        var pipe = try TestConnection(contexts)
        try pipe.run()
        #expect(pipe.server.alpn == row.chosen && pipe.client.alpn == row.chosen)
        #expect(pipe.server.isHandshakeComplete == true)
    }

    @Test(arguments: ["", String(repeating: "a", count: 256)])
    func refusesImpossibleProtocolNames(_ name: String) throws {
        #expect(throws: TLSError.self) { try TestContexts(serverALPN: [name]) }
        #expect(throws: TLSError.self) { try TestContexts(clientALPN: [name]) }
    }

    @Test func takesTheLongestProtocolName() throws {
        let name = String(repeating: "a", count: 255)
        var pipe = try TestConnection(TestContexts(serverALPN: [name], clientALPN: [name]))
        try pipe.run()
        #expect(pipe.server.alpn == name)
    }

    @Test func refusesAnEmptyRangeOfVersions() throws {
        let options = TLSServerOptions(minVersion: .tls13, maxVersion: .tls12)
        #expect(throws: TLSError.self) { try TLSServerContext(identity: TestPKI.leaf.identity(), options: options) }
    }

    @Test func refusesAWeakKey() throws {
        let error = #expect(throws: TLSError.self) { try TestContexts(TestPKI.weak) }
        #expect(error?.reason.contains("too small") == true)
    }

    /// Each end says what happened: the server sent the alert, the client received it.
    @Test func refusesAnOldClient() throws {
        let server = try TLSServerContext(
            identity: TestPKI.leaf.identity(), options: TLSServerOptions(minVersion: .tls13))
        let client = try TLSClientContext(
            trust: TrustStore(pem: TestPKI.authority.certificate), options: TLSClientOptions(maxVersion: .tls12))
        var engine = try TLSEngine(server: server), peer = try TLSEngine(client: client, serverName: "localhost")
        var toServer = ByteBuffer(), toClient = ByteBuffer(), plaintext = ByteBuffer()
        try peer.start(output: &toServer)
        let refusal = #expect(throws: TLSError.self) {
            _ = try engine.process(toServer.take(), plaintext: &plaintext, output: &toClient)
        }
        #expect(refusal?.alert == TLSAlert(value: 70, isFromPeer: false))
        #expect(refusal?.operation == "handshake")
        let notice = #expect(throws: TLSError.self) {
            _ = try peer.process(toClient.take(), plaintext: &plaintext, output: &toServer)
        }
        #expect(notice?.alert == TLSAlert(value: 70, isFromPeer: true))
        #expect(notice?.description == "remote error: tls: protocol version")
    }
}

@Suite struct ServerCredentialsTests {
    @Test func newConnectionsTakeTheNewIdentityAndLiveOnesStay() throws {
        let credentials = try ServerCredentials(identity: TestPKI.leaf.identity())
        let client = try TestContexts().client
        let before = credentials.current.identity.fingerprint
        var old = try Live(credentials, client)
        // One connection is in the midst of its handshake when the identity changes.
        var halfway = try TLSEngine(server: credentials.current)
        var hello = ByteBuffer(), answer = ByteBuffer(), plaintext = ByteBuffer()
        var starting = try TLSEngine(client: client, serverName: "localhost")
        try starting.start(output: &hello)

        let replacement = try TestPKI.rsa.identity()
        try credentials.replace(with: replacement)
        #expect(credentials.current.identity.fingerprint == replacement.fingerprint)
        #expect(replacement.fingerprint != before)

        var new = try Live(credentials, client)
        #expect(new.client.peerFingerprint == replacement.fingerprint)
        #expect(try new.echo([1, 2, 3]) == [1, 2, 3])
        #expect(try old.echo([4, 5]) == [4, 5] && old.client.peerFingerprint == before)

        _ = try halfway.process(hello.take(), plaintext: &plaintext, output: &answer)
        _ = try starting.process(answer.take(), plaintext: &plaintext, output: &hello)
        _ = try halfway.process(hello.take(), plaintext: &plaintext, output: &answer)
        #expect(halfway.isHandshakeComplete && starting.peerFingerprint == before)
    }

    /// Where nothing changes, sessions go on. After a renewal, under the same CA and with a new key, and after a change of
    /// the CA whoever comes back sees the new certificate; also with a ticket of a connection that was under way then.
    @Test(arguments: TLSVersion.allCases, [TestPKI.rsa, TestPKI.sameKeyOtherCA])
    func sessionsEndWithTheChain(_ version: TLSVersion, _ next: TestPair) throws {
        let credentials = try ServerCredentials(
            identity: TestPKI.leaf.identity(), options: TLSServerOptions(minVersion: version, maxVersion: version))
        let client = try TLSClientContext(
            trust: TrustStore(pem: TestPKI.authority.certificate + TestPKI.stranger.certificate))
        let first = try Live(credentials, client).session()
        let keys = credentials.ticketKeys
        try credentials.replace(with: TestPKI.leaf.identity())
        #expect(credentials.ticketKeys === keys)
        let same = try Live(credentials, client, session: first)
        #expect(same.server.isResumed && same.client.isResumed, "a reload that changes nothing")
        let old = credentials.current

        let replacement = try next.identity()
        try credentials.replace(with: replacement)
        #expect(credentials.ticketKeys !== keys)
        // The old context's last handshake: its ticket is sealed with the old keys, for the old chain.
        let late = try Live(old, client).session()
        for token in [first, late] {
            let returning = try Live(credentials, client, session: token)
            #expect(!returning.server.isResumed && !returning.client.isResumed)
            #expect(returning.client.peerFingerprint == replacement.fingerprint)
            let again = try Live(credentials, client, session: returning.session())
            #expect(again.server.isResumed && again.client.isResumed, "the new one's sessions go on")
        }
    }

    @Test func aRefusedIdentityChangesNothing() throws {
        let credentials = try ServerCredentials(identity: TestPKI.leaf.identity())
        let before = credentials.current
        #expect(throws: TLSError.self) { try credentials.replace(with: TestPKI.weak.identity()) }
        #expect(credentials.current === before)
    }

    /// A connection with its handshake behind it.
    private struct Live: ~Copyable {
        var client: TLSEngine
        var server: TLSEngine
        var toServer = ByteBuffer()
        var toClient = ByteBuffer()

        init(_ credentials: ServerCredentials, _ context: TLSClientContext, session: TLSClientSession? = nil) throws {
            try self.init(credentials.current, context, session: session)
        }

        init(_ current: TLSServerContext, _ context: TLSClientContext, session: TLSClientSession? = nil) throws {
            var client = try TLSEngine(client: context, serverName: "localhost", session: session)
            var server = try TLSEngine(server: current)
            var toServer = ByteBuffer(), toClient = ByteBuffer(), plaintext = ByteBuffer()
            try client.start(output: &toServer)
            while !toServer.isEmpty || !toClient.isEmpty {
                _ = try server.process(toServer.take(), plaintext: &plaintext, output: &toClient)
                _ = try client.process(toClient.take(), plaintext: &plaintext, output: &toServer)
            }
            self.client = client
            self.server = server
        }

        func session() throws -> TLSClientSession {
            let session = client.session
            return try #require(session)
        }

        mutating func echo(_ bytes: [UInt8]) throws -> [UInt8] {
            var plaintext = ByteBuffer()
            try client.write(bytes, output: &toServer)
            _ = try server.process(toServer.take(), plaintext: &plaintext, output: &toClient)
            try server.write(plaintext.take(), output: &toClient)
            _ = try client.process(toClient.take(), plaintext: &plaintext, output: &toServer)
            return plaintext.take()
        }
    }
}

@Suite struct TLSVersionTests {
    @Test func ordersByAge() {
        #expect(TLSVersion.tls12 < .tls13)
        #expect(TLSVersion.allCases.sorted() == TLSVersion.allCases)
    }

    @Test func readsAsPeopleWriteIt() {
        #expect(TLSVersion.tls13.rawValue == "TLS 1.3" && TLSVersion.tls12.rawValue == "TLS 1.2")
    }
}
