import Testing
import TunnelCore
import TunnelTLS

@Suite struct ServerCredentialsTests {
    @Test func newConnectionsTakeTheNewIdentityAndLiveOnesStay() throws {
        let credentials = try ServerCredentials(identity: TestPKI.leaf.identity())
        let client = try TestContexts().client
        let before = credentials.current.identity.fingerprint
        var old = try Live(credentials, client)
        let session = old.client.session
        let token = try #require(session)

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

        let resumed = try Live(credentials, client, session: token)
        #expect(resumed.server.isResumed == true, "tickets outlive the exchange")
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
            var client = try TLSEngine(client: context, serverName: "localhost", session: session)
            var server = try TLSEngine(server: credentials.current)
            var toServer = ByteBuffer(), toClient = ByteBuffer(), plaintext = ByteBuffer()
            try client.start(output: &toServer)
            while !toServer.isEmpty || !toClient.isEmpty {
                _ = try server.process(toServer.take(), plaintext: &plaintext, output: &toClient)
                _ = try client.process(toClient.take(), plaintext: &plaintext, output: &toServer)
            }
            self.client = client
            self.server = server
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
