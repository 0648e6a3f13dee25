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
        #expect(error?.detail.contains("too small") == true)
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
