import Testing
import TunnelCore
import TunnelPKI
import TunnelsAPIFake

/// The fake's state across a restart.
@Suite struct SnapshotTests {
    @Test func aRestartChangesNothing() throws {
        let configuration = FakeConfiguration(tunnels: [.init(displayName: "console", id: "tnl_console")])
        let api = FakeTunnelsAPI(configuration, clock: { FakeClient.start })
        let client = try FakeClient(api)
        let id = try client.create("x")
        _ = client.add(try CertificateAuthority.fresh(api).pem, to: id)
        _ = client.send("POST", "/\(id)/rotate_token", ["reason": "r"])
        api.advance(bySeconds: 100)

        let again = try FakeTunnelsAPI(configuration, snapshot: api.snapshot(), clock: { FakeClient.start })
        #expect(again.tunnels == api.tunnels && again.certificates == api.certificates && again.audit == api.audit)
        #expect(again.accessTokens == api.accessTokens && again.authentications == api.authentications)
        #expect(again.now == api.now && again.snapshot() == api.snapshot())
        #expect(FakeClient.send(again, client.request("GET", "/\(id)")).status == 200, "its tokens are still good")
        let newer = again.makeTunnel()
        #expect(FakeClient.send(again, client.request("GET", "?limit=1")).ids == [newer.id])
    }

    @Test func theConfigurationsTunnelsAreThereOnce() throws {
        let before = FakeTunnelsAPI(FakeConfiguration(tunnels: [.init(displayName: "a")]))
        let configuration = FakeConfiguration(tunnels: [.init(displayName: "a"), .init(displayName: "a", id: "tnl_b")])
        let after = try FakeTunnelsAPI(configuration, snapshot: before.snapshot())
        #expect(after.tunnels.map(\.id) == [before.tunnels[0].id, "tnl_b"])
    }

    @Test func onlyChangesOfStateCount() throws {
        let client = try FakeClient(FakeClient.api())
        let start = client.api.revision
        _ = client.send("GET", "")
        _ = client.send("GET", "/tnl_none")
        #expect(client.api.revision == start)
        _ = try client.create()
        #expect(client.api.revision > start)
    }

    @Test(arguments: ["", "{}", "[]", #"{"tunnels":1}"#]) func whatIsNoSnapshot(_ text: String) {
        #expect(throws: DecodingError.self) { try FakeTunnelsAPI(snapshot: Array(text.utf8)) }
    }

    @Test func aResetKeepsWhatWasConfigured() throws {
        let client = try FakeClient(FakeClient.api(tunnels: [.init(displayName: "console")]))
        _ = try client.create()
        client.api.fail(FakeFault(.stall))
        let revision = client.api.revision
        client.api.reset()
        #expect(client.api.tunnels.map(\.displayName) == ["console"] && client.api.requests.isEmpty)
        #expect(client.api.faults.isEmpty && client.api.accessTokens.isEmpty && client.api.revision > revision)
    }
}
