import Testing
import TunnelAPI
import TunnelCore
import TunnelsAPIFake

/// The token endpoint.
@Suite struct ExchangeTests {
    private let api = FakeClient.api()

    private func send(_ change: (inout [String: FakeJSON]) -> Void = { _ in }) -> FakeClient.Answer {
        var members = FakeClient.exchange(api)
        change(&members)
        return FakeClient.send(api, FakeClient.tokenRequest(members))
    }

    @Test func aTokenAndItsScope() throws {
        let answer = send().json
        #expect(try #require(answer["access_token"]?.text).hasPrefix("sk-ant-oat01-"))
        #expect(answer["token_type"] == "Bearer" && answer["scope"] == "workspace:manage_tunnels")
        #expect(answer["expires_in"] == 1199, "twice what the identity token has left")
        #expect(api.audit.map(\.kind) == [.accessTokenMinted])
        #expect(api.authentications.map(\.refusal) == [nil])
        #expect(api.authentications.first?.ruleID == "fdrl_01FakeRule")
    }

    @Test func theScopeMayBeLeftOut() throws {
        let api = FakeTunnelsAPI(FakeConfiguration(rules: [FakeRule(scope: "org:manage_tunnels", reportsScope: false)]))
        let client = try FakeClient(api, .first)
        #expect(client.send("GET", "").status == 200)
        let answer = FakeClient.send(api, FakeClient.tokenRequest(FakeClient.exchange(api)))
        #expect(answer.status == 200 && answer.json["scope"] == nil)
    }

    /// The rule's lifetime, that of the identity token, and what comes out, in seconds.
    @Test(arguments: [(3600, 3600, 3600), (600, 3600, 600), (86_400, 3600, 7199), (3600, 40, 79), (3600, 20, 60)])
    func lifetimes(_ rule: Int, _ identity: Int, _ expected: Int64) {
        let configuration = FakeConfiguration(rules: [FakeRule(tokenLifetime: rule)])
        let api = FakeTunnelsAPI(configuration, clock: { FakeClient.start })
        var members = FakeClient.exchange(api)
        members["assertion"] = .string(api.identityToken(for: configuration.rules[0], lifetime: identity))
        #expect(FakeClient.send(api, FakeClient.tokenRequest(members)).json["expires_in"]?.integer == expected)
    }

    // MARK: 400

    /// Member, value (`nil`: left out), status.
    static let members: [(name: String, value: FakeJSON?, status: Int)] = [
        ("grant_type", nil, 400), ("grant_type", "client_credentials", 400), ("grant_type", 1, 400),
        ("assertion", nil, 400), ("assertion", "", 400), ("assertion", ["x"], 400), ("assertion", nil, 400),
        ("federation_rule_id", nil, 400), ("federation_rule_id", "", 400), ("federation_rule_id", "01FakeRule", 400),
        ("federation_rule_id", "fdrl_", 400), ("federation_rule_id", "fdrl_a b", 400),
        ("federation_rule_id", "FDRL_01FakeRule", 400), ("federation_rule_id", "fdrl_01Unknown", 401),
        ("organization_id", nil, 400), ("organization_id", "org_1", 400),
        ("organization_id", "00000000-0000-4000-8000-00000000000g", 400),
        ("organization_id", "00000000-0000-4000-8000-000000000002", 401),
        ("workspace_id", nil, 200), ("workspace_id", .null, 200), ("workspace_id", "default", 200),
        ("workspace_id", "Default", 400), ("workspace_id", "", 400), ("workspace_id", "wrkspc_", 400),
        ("workspace_id", "wrkspc_01Other", 401), ("workspace_id", 1, 400),
        ("service_account_id", "svac_01FakeAccount", 200), ("service_account_id", "svac_01Other", 401),
        ("service_account_id", "x", 400), ("added_by_client", [1], 200),
    ]

    @Test(arguments: members) func membersAreChecked(_ row: (name: String, value: FakeJSON?, status: Int)) {
        let answer = send { $0[row.name] = row.value }
        #expect(answer.status == row.status, "\(answer.text)")
        switch row.status {
        case 200: break
        case 401: #expect(answer.message == "Authentication failed" && answer.errorType == "authentication_error")
        default:
            #expect(answer.message.contains(row.name) && answer.errorType == "invalid_request_error")
            #expect(api.authentications.isEmpty, "what is malformed leaves no entry")
        }
    }

    @Test func theFormatOfAWorkspaceIsNamed() {
        let message = send { $0["workspace_id"] = "production" }.message
        #expect(message.contains("wrkspc_") && message.contains("default"))
    }

    @Test(arguments: [
        ("anthropic-beta", nil, 400), ("anthropic-beta", "oauth-2025-04-20", 400),
        ("anthropic-beta", "oidc-federation-2026-04-01", 400),
        ("anthropic-beta", "oidc-federation-2026-04-01, oauth-2025-04-20", 200),
        ("anthropic-beta", "oauth-2025-04-20,oidc-federation-2026-04-01,x", 400),
        ("anthropic-beta", "oauth-2025-04-20,oidc-federation-2026-04-01,mcp-tunnels-2026-06-22", 400),
        ("Content-Type", nil, 400), ("Content-Type", "application/x-www-form-urlencoded", 400),
        ("User-Agent", nil, 400), ("User-Agent", "", 400), ("Authorization", "Bearer x", 400),
        ("anthropic-version", "2023-06-01", 200),
    ])
    func fieldsAreChecked(_ name: String, _ value: String?, _ status: Int) {
        let request = FakeClient.tokenRequest(FakeClient.exchange(api)).with(name, value)
        let answer = FakeClient.send(api, request)
        #expect(answer.status == status, "\(answer.text)")
        if status == 400 { #expect(answer.message.contains(name.lowercased())) }
    }

    @Test(arguments: ["", "[]", "null", "grant_type=x"]) func bodiesAreChecked(_ body: String) {
        var request = FakeClient.tokenRequest([:])
        request.body = Array(body.utf8)
        #expect(FakeClient.send(api, request).errorType == "invalid_request_error")
    }

    @Test(arguments: [(16_384, 401), (16_385, 400)]) func assertionsHaveALength(_ count: Int, _ status: Int) {
        #expect(send { $0["assertion"] = .string(String(repeating: "a", count: count)) }.status == status)
    }

    // MARK: 401

    private func refusal(_ change: (inout FakeIdentityToken) -> Void) -> String? {
        var token = FakeIdentityToken(
            subject: "system:serviceaccount:mcp-tunnel:mcp-tunnel-setup", audience: "api.anthropic.com",
            issuedAt: FakeClient.start.seconds)
        change(&token)
        return refusal(of: token.text)
    }

    private func refusal(of assertion: String) -> String? {
        let answer = send { $0["assertion"] = .string(assertion) }
        guard answer.status != 200 else { return nil }
        #expect(answer.status == 401 && answer.errorType == "authentication_error")
        #expect(answer.message == "Authentication failed", "it never says why")
        return api.authentications.last?.refusal
    }

    @Test func identityTokensAreRead() {
        let now = FakeClient.start.seconds
        #expect(refusal { _ in } == nil)
        for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"] {
            #expect(refusal { $0.header["alg"] = .string(algorithm) } == nil)
        }
        for algorithm in ["none", "HS256", "HS512", "rs256", "EdDSA"] {
            #expect(refusal { $0.header["alg"] = .string(algorithm) } == "algorithm")
        }
        #expect(refusal { $0.header["alg"] = nil } == "no_alg")
        #expect(refusal { $0.header["kid"] = nil } == "no_kid")
        #expect(refusal { $0.header["kid"] = "" } == "no_kid")
        #expect(refusal { $0.claims["sub"] = nil } == "no_sub")
        #expect(refusal { $0.claims["sub"] = 1 } == "no_sub")
        #expect(refusal { $0.claims["iat"] = nil } == "no_iat")
        #expect(refusal { $0.claims["exp"] = nil } == "no_exp")
        #expect(refusal { $0.claims["exp"] = "soon" } == "no_exp")
        #expect(refusal { $0.claims["nbf"] = "now" } == "malformed_nbf")

        // The clock stands 0.000123 s behind the whole second.
        #expect(
            refusal {
                $0.claims["exp"] = .integer(now - 29); $0.claims["iat"] = .integer(now - 600)
            } == nil)
        #expect(
            refusal {
                $0.claims["exp"] = .integer(now - 30); $0.claims["iat"] = .integer(now - 600)
            } == "expired")
        #expect(refusal { $0.claims["iat"] = .integer(now + 30) } == nil)
        #expect(refusal { $0.claims["iat"] = .integer(now + 31) } == "issued_in_future")
        #expect(refusal { $0.claims["nbf"] = .integer(now + 30) } == nil)
        #expect(refusal { $0.claims["nbf"] = .integer(now + 31) } == "not_yet_valid")
        #expect(refusal { $0.claims["exp"] = .integer(now + 3600) } == nil)
        #expect(refusal { $0.claims["exp"] = .integer(now + 3601) } == "lifetime_too_long")
        #expect(refusal { $0.claims["exp"] = .number(1e300) } == "lifetime_too_long")
        #expect(refusal { $0.claims["exp"] = .number(-1e300) } == "expired")
        #expect(refusal { $0.claims["exp"] = .number(Double(now) + 60.5) } == nil)

        #expect(refusal { $0.claims["sub"] = "system:serviceaccount:mcp-tunnel:other" } == "subject_mismatch")
        #expect(refusal { $0.claims["aud"] = "api.anthropic.com" } == nil)
        #expect(refusal { $0.claims["aud"] = ["other", "api.anthropic.com"] } == nil)
        #expect(refusal { $0.claims["aud"] = "https://api.anthropic.com" } == "audience_mismatch")
        #expect(refusal { $0.claims["aud"] = ["api.anthropic.com/"] } == "audience_mismatch")
        #expect(refusal { $0.claims["aud"] = nil } == "audience_mismatch")
    }

    @Test func theFormOfAnIdentityToken() {
        let good = api.identityToken(for: api.configuration.rules[0])
        let parts = good.split(separator: ".").map(String.init)
        #expect(refusal(of: good) == nil)
        for bad in [
            "x", "a.b", parts[0] + "." + parts[1], parts[0] + "." + parts[1] + ".", good + ".x", "." + parts[1] + ".x",
            parts[0] + "=." + parts[1] + "." + parts[2], parts[0] + "." + parts[1] + ".a+b/", good + "\n",
            parts[1] + "x." + parts[0] + "." + parts[2], "W10." + parts[1] + "." + parts[2],
        ] {
            #expect(refusal(of: bad) == "malformed_token", "\(bad)")
        }
    }

    @Test func subjectsMayEndInAStar() throws {
        for (pattern, subject, status) in [
            ("repo:a/b:*", "repo:a/b:main", 200), ("repo:a/b:*", "repo:a/c:main", 401), ("repo:*", "Repo:x", 401),
            ("*", "anything", 200), ("a*b", "axb", 401), ("a*b", "a*b", 200),
        ] {
            let rule = FakeRule(subject: pattern)
            let api = FakeTunnelsAPI(FakeConfiguration(rules: [rule]))
            var members = FakeClient.exchange(api)
            members["assertion"] = .string(api.identityToken(for: rule, subject: subject))
            #expect(FakeClient.send(api, FakeClient.tokenRequest(members)).status == status, "\(pattern) \(subject)")
        }
    }

    @Test func theIssuerIsComparedByteForByte() throws {
        let rule = FakeRule(issuer: "https://idp.example")
        for (issuer, status) in [
            ("https://idp.example", 200), ("https://idp.example/", 401), ("https://IDP.example", 401),
        ] {
            let api = FakeTunnelsAPI(FakeConfiguration(rules: [rule]))
            var members = FakeClient.exchange(api)
            let token = FakeIdentityToken(
                subject: rule.subject, audience: rule.audience, issuer: issuer, issuedAt: api.now.seconds)
            members["assertion"] = .string(token.text)
            #expect(FakeClient.send(api, FakeClient.tokenRequest(members)).status == status)
        }
    }

    @Test func aRuleForSeveralWorkspacesNeedsOne() throws {
        let api = FakeClient.api(workspaces: ["wrkspc_01A", "wrkspc_01B"])
        var members = FakeClient.exchange(api)
        #expect(FakeClient.send(api, FakeClient.tokenRequest(members)).message == "Authentication failed")
        #expect(api.authentications.last?.refusal == "workspace_id_required")
        members["workspace_id"] = "wrkspc_01B"
        let answer = FakeClient.send(api, FakeClient.tokenRequest(members))
        #expect(answer.response?.first("anthropic-workspace-id") == "wrkspc_01B")
        members["workspace_id"] = "default"
        #expect(FakeClient.send(api, FakeClient.tokenRequest(members)).status == 401)
    }

    @Test func anUnknownRuleLeavesNoEntry() {
        #expect(send { $0["federation_rule_id"] = "fdrl_01Gone" }.status == 401)
        #expect(api.authentications.isEmpty)
    }
}
