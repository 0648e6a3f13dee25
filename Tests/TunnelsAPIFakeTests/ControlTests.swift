import Testing
import TunnelAPI
import TunnelCore
import TunnelPKI

@testable import TunnelsAPIFake

/// What tests in other languages steer the program by.
@Suite struct ControlTests {
    private let client: FakeClient
    private var api: FakeTunnelsAPI { client.api }

    init() throws { client = try FakeClient(FakeClient.api()) }

    private func send(_ method: String, _ path: String, _ body: String = "") throws -> (status: Int, json: FakeJSON) {
        let response = try #require(
            FakeControl(api).answer(FakeRequest(method, "/_fake/" + path, body: Array(body.utf8))))
        return (response.status, (try? FakeJSON(parsing: response.body)) ?? .null)
    }

    @Test func otherPathsAreNotItsOwn() {
        for path in ["/", "/v1/tunnels", "/_fake", "/x/_fake/state"] {
            #expect(FakeControl(api).answer(FakeRequest("GET", path)) == nil)
        }
    }

    @Test func requestsAsTheyCame() throws {
        _ = try client.create("x")
        let requests = try #require(try send("GET", "requests").json["requests"]?.elements)
        #expect(requests.map { $0["path"] } == ["/v1/oauth/token", "/v1/tunnels"])
        let last = try #require(requests.last)
        #expect(last["method"] == "POST" && last["status"] == 200 && last["was_acted_on"] == true)
        #expect(last["body"] == #"{"display_name":"x"}"# && last["fault"] == .null)
        #expect(last["fields"]?.elements?.contains(["Authorization", .string("Bearer \(client.token)")]) == true)
    }

    @Test func theWholeState() throws {
        let id = try client.create("x")
        _ = client.add(try CertificateAuthority.fresh(api).pem, to: id)
        _ = client.send("POST", "/\(id)/rotate_token", ["reason": "r"])
        api.fail(.answer(429, retryAfter: "1"))
        let state = try send("GET", "state").json
        let tunnel = try #require(state["tunnels"]?.elements?.first)
        #expect(
            tunnel["id"]?.text == id && tunnel["display_name"] == "x" && tunnel["token"]?.text == api.tunnels[0].token)
        #expect(tunnel["former_tokens"]?.elements?.count == 1)
        #expect(state["certificates"]?.elements?.first?["tunnel_id"]?.text == id)
        #expect(state["access_tokens"]?.elements?.first?["value"]?.text == client.token)
        #expect(
            state["audit"]?.elements?.map { $0["kind"]?.text } == [
                "tunnel_token_minted", "tunnel_created", "tunnel_certificate_added", "tunnel_token_rotated",
            ])
        #expect(state["authentications"]?.elements?.count == 1)
        #expect(state["faults"]?.elements?.first?["retry_after"] == "1")
        #expect(state["now"]?.integer == api.now.microseconds)
    }

    @Test func faultsOneOrMany() throws {
        #expect(try send("POST", "faults", #"{"kind":"stall"}"#).status == 200)
        let all = """
            [{"kind":"answer","method":"POST","path":"/v1/**","skip":1,"times":3,"acts":true,"status":529,"type":"t",
              "message":"m","retry_after":"1","retry_after_ms":"5","should_retry":false},
             {"kind":"oversized_body","bytes":7}]
            """
        #expect(try send("POST", "faults", all).status == 200)
        var second = FakeFault.answer(529, "POST", "/v1/**", times: 3, retryAfter: "1", shouldRetry: false, acts: true)
        (second.skip, second.type, second.message, second.retryAfterMilliseconds) = (1, "t", "m", "5")
        var third = FakeFault(.oversizedBody)
        third.bytes = 7
        #expect(api.faults == [FakeFault(.stall), second, third])
        #expect(try send("DELETE", "faults").status == 200 && api.faults.isEmpty)
    }

    @Test(arguments: FakeFault.Kind.allCases) func everyKindHasItsName(_ kind: FakeFault.Kind) throws {
        #expect(try send("POST", "faults", "{\"kind\":\"\(kind.rawValue)\"}").status == 200)
        #expect(api.faults == [FakeFault(kind)])
    }

    @Test func tunnelsAsTheConsoleMakesThem() throws {
        let answer = try send("POST", "tunnels", #"{"display_name":"x","id":"tnl_1","workspace_id":"wrkspc_1"}"#)
        #expect(answer.json["id"] == "tnl_1" && answer.json["workspace_id"] == "wrkspc_1")
        #expect(try send("POST", "tunnels", "{}").status == 200 && api.tunnels.count == 2)
    }

    @Test func clockTokensAndReset() throws {
        #expect(try send("POST", "clock", #"{"advance":60}"#).status == 200)
        #expect(api.now.seconds == FakeClient.start.seconds + 60)
        #expect(try send("POST", "revoke-access-tokens").status == 200 && api.accessTokens.isEmpty)
        #expect(try send("POST", "reset").status == 200 && api.requests.isEmpty)
        #expect(api.now.seconds == FakeClient.start.seconds)
    }

    @Test func theClockHasABound() {
        for _ in 0..<20 { api.advance(bySeconds: .max) }
        #expect(api.now.seconds == FakeClient.start.seconds + 3_153_600_000)
        api.advance(bySeconds: .min)
        #expect(api.now.seconds == FakeClient.start.seconds - 3_153_600_000)
    }

    @Test func identityTokens() throws {
        let response = try #require(
            FakeControl(api).answer(FakeRequest("GET", "/_fake/identity-token?lifetime=90&subject=a%20b")))
        let token = try ParsedIdentityToken(String(decoding: response.body, as: UTF8.self))
        #expect(token.subject == "a b" && token.expiresAt - token.issuedAt == 90)
        #expect(token.audiences == ["api.anthropic.com"] && response.first("content-type") == "text/plain")
    }

    /// Method, path, body, and what the message holds.
    @Test(arguments: [
        ("GET", "other", "", "nothing is here"), ("PUT", "state", "", "nothing is here"),
        ("POST", "faults", "x", "not JSON"), ("POST", "faults", "1", "JSON object"),
        ("POST", "faults", "{}", "kind: must be one of answer, malformed_json"),
        ("POST", "faults", #"{"kind":"stal"}"#, "kind"),
        ("POST", "faults", #"{"kind":"stall","retryafter":1}"#, "retryafter: unknown, did you mean retry_after?"),
        ("POST", "faults", #"{"kind":"stall","times":0}"#, "times"),
        ("POST", "faults", #"{"kind":"stall","times":"1"}"#, "times"),
        ("POST", "faults", #"{"kind":"answer","status":99}"#, "status"),
        ("POST", "faults", #"{"kind":"answer","retry_after":"a\r\nb"}"#, "retry_after"),
        ("POST", "faults", #"{"kind":"answer","acts":1}"#, "acts"),
        ("POST", "faults", #"{"kind":"oversized_body","bytes":67108865}"#, "bytes"),
        ("POST", "faults", #"[{"kind":"stall"},{"kind":1}]"#, "kind"),
        ("POST", "clock", "{}", "advance"), ("POST", "clock", #"{"advance":-9223372036854775808}"#, "advance"),
        ("POST", "tunnels", #"{"id":"x"}"#, "id"), ("POST", "tunnels", #"{"workspace_id":"x"}"#, "workspace_id"),
        ("POST", "tunnels", #"{"display_name":1}"#, "display_name"),
        ("GET", "identity-token?lifetime=86401", "", "lifetime"), ("GET", "identity-token?rule=x", "", "rule"),
        ("GET", "identity-token?x=1", "", "x: unknown"),
    ])
    func mistakesAreNamed(_ method: String, _ path: String, _ body: String, _ message: String) throws {
        let answer = try send(method, path, body)
        #expect(answer.status == (message.hasPrefix("nothing") ? 404 : 400))
        #expect(answer.json["error"]?.text?.contains(message) == true, "\(answer.json)")
        #expect(api.faults.isEmpty && api.tunnels.isEmpty)
    }
}
