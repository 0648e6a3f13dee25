import Testing
import TunnelAPI
import TunnelPKI
import TunnelsAPIFake

/// What every call has to bring: path, version, beta, token, scope, and a body of the right kind.
@Suite struct ContractTests {
    /// The documented table of both generations, complete. `T` is a tunnel, `C` its certificate.
    static let calls: [(method: String, path: String, inFirst: Int, inSecond: Int)] = [
        ("POST", "", 404, 200), ("GET", "", 200, 200), ("GET", "/T", 200, 200), ("POST", "/T/archive", 200, 200),
        ("POST", "/T/reveal_token", 200, 200), ("POST", "/T/rotate_token", 200, 200),
        ("POST", "/T/certificates", 400, 400), ("GET", "/T/certificates", 200, 200),
        ("GET", "/T/certificates/C", 200, 200), ("POST", "/T/certificates/C/archive", 200, 200),
        // Everything else is not there.
        ("PUT", "", 404, 404), ("DELETE", "/T", 404, 404), ("PATCH", "/T", 404, 404), ("POST", "/T", 404, 404),
        ("GET", "/T/archive", 404, 404), ("GET", "/T/reveal_token", 404, 404), ("POST", "/T/other", 404, 404),
        ("POST", "/T/certificates/C", 404, 404), ("GET", "/T/certificates/C/archive", 404, 404),
        ("DELETE", "/T/certificates/C", 404, 404), ("GET", "/", 404, 404), ("GET", "/T/", 404, 404),
        ("GET", "/T/certificates/C/archive/x", 404, 404), ("GET", "/tnl_unknown", 404, 404),
        ("GET", "/T/certificates/tcrt_unknown", 404, 404), ("GET", "x", 404, 404), ("GET", "/T%20", 404, 404),
    ]

    @Test(arguments: FakeGeneration.allCases) func theTableOfMethodsAndPaths(_ generation: FakeGeneration) throws {
        for call in Self.calls {
            let api = FakeClient.api(generation, tunnels: [.init(displayName: "t", id: "tnl_T")])
            let client = try FakeClient(api, generation)
            let added = client.add(try CertificateAuthority.fresh(api).pem, to: "tnl_T")
            let certificate = try #require(added.json["id"]?.text)
            let path = call.path.replacing("/T", with: "/tnl_T").replacing("/C", with: "/\(certificate)")
            let answer = client.send(call.method, path)
            #expect(
                answer.status == (generation == .first ? call.inFirst : call.inSecond), "\(call.method) \(call.path)")
            if answer.status == 404 { #expect(answer.errorType == "not_found_error") }
        }
    }

    @Test(arguments: ["/", "/v1", "/v1/oauth/token", "/v1/organizations", "/v2/tunnels", "v1/tunnels", ""])
    func otherPaths(_ path: String) {
        let answer = FakeClient.send(FakeClient.api(), FakeRequest("GET", path))
        #expect(answer.status == 404 && answer.errorType == "not_found_error")
    }

    /// Field, value (`nil`: left out), status, and what the message holds.
    static let headers: [(name: String, value: String?, status: Int, message: String)] = [
        ("anthropic-version", "2023-06-01", 200, ""),
        ("anthropic-version", nil, 400, "anthropic-version"),
        ("anthropic-version", "2023-01-01", 400, "2023-01-01"),
        ("anthropic-beta", "mcp-tunnels-2026-06-22", 200, ""),
        ("anthropic-beta", " oauth-2025-04-20 ,  mcp-tunnels-2026-06-22", 200, ""),
        ("anthropic-beta", nil, 400, "mcp-tunnels-2026-06-22"),
        ("anthropic-beta", "oauth-2025-04-20", 400, "mcp-tunnels-2026-06-22"),
        ("anthropic-beta", "mcp-tunnels-2026-05-19", 400, "mcp-tunnels-2026-06-22"),
        ("anthropic-beta", "mcp-tunnels-2026-06-22,mcp-tunnels-2026-05-19", 400, "does not belong"),
        ("anthropic-beta", "mcp-tunnels-2026-06-22,oidc-federation-2026-04-01", 400, "does not belong"),
        (
            "anthropic-beta", "mcp-tunnels-2026-06-22,x", 400,
            "Unexpected value(s) `x` for the `anthropic-beta` header. Please consult our documentation at "
                + "platform.claude.com/docs or try again without the header."
        ),
        ("anthropic-beta", "mcp-tunnels-2026-06-22,x,y", 400, "Unexpected value(s) `x`, `y` for the"),
        ("anthropic-beta", "mcp-tunnels-2026-06-22,", 400, "Unexpected value(s) `` for the"),
        ("Authorization", nil, 401, ""), ("Authorization", "Bearer nonsense", 401, ""),
        ("Authorization", "Bearer ", 401, ""), ("Authorization", "Basic abc", 401, ""),
        ("X-Api-Key", "sk-ant-api03-x", 401, ""),
    ]

    @Test(arguments: headers)
    func headersAreChecked(_ row: (name: String, value: String?, status: Int, message: String)) throws {
        let client = try FakeClient(FakeClient.api())
        let answer = FakeClient.send(client.api, client.request("GET", "").with(row.name, row.value))
        #expect(answer.status == row.status && answer.message.contains(row.message), "\(answer.text)")
        #expect(answer.errorType == [400: "invalid_request_error", 401: "authentication_error"][row.status])
    }

    @Test func aFieldThatComesTwice() throws {
        let client = try FakeClient(FakeClient.api())
        var request = client.request("GET", "")
        request.fields.append(HTTPField("authorization", "Bearer \(client.token)"))
        #expect(FakeClient.send(client.api, request).status == 401)
        request = client.request("GET", "").with("anthropic-beta", "oauth-2025-04-20")
        request.fields.append(HTTPField("Anthropic-Beta", client.generation.beta))
        #expect(FakeClient.send(client.api, request).status == 200, "a list may be spread over fields")
    }

    @Test func anOrganizationWithoutAccessSeesAnUnknownBeta() throws {
        let api = FakeTunnelsAPI(FakeConfiguration(hasPreviewAccess: false))
        let answer = try FakeClient(api).send("GET", "")
        #expect(
            answer.status == 400 && answer.message.hasPrefix("Unexpected value(s) `mcp-tunnels-2026-06-22` for the"))
    }

    @Test func aTokenExpires() throws {
        let client = try FakeClient(FakeClient.api())
        // A little of the identity token's ten minutes is gone, and twice what is left is cut to whole seconds.
        client.api.advance(bySeconds: 1198)
        #expect(client.send("GET", "").status == 200)
        client.api.advance(bySeconds: 1)
        #expect(client.send("GET", "").errorType == "authentication_error")
    }

    @Test func revokedTokensAreUnknown() throws {
        let client = try FakeClient(FakeClient.api())
        client.api.revokeAccessTokens()
        #expect(client.send("GET", "").status == 401)
        #expect(client.api.audit.map(\.kind) == [.accessTokenMinted, .accessTokenRevoked])
    }

    @Test func theScopeIsForOneGeneration() throws {
        for (scope, allowed) in [
            ("org:manage_tunnels", [FakeGeneration.first]), ("workspace:manage_tunnels", [.second]),
            ("org:manage_tunnels workspace:manage_tunnels", [.first, .second]), ("workspace:developer", []),
        ] {
            let api = FakeTunnelsAPI(FakeConfiguration(rules: [FakeRule(scope: scope)]))
            for generation in FakeGeneration.allCases {
                let answer = try FakeClient(api, generation).send("GET", "")
                #expect(answer.status == (allowed.contains(generation) ? 200 : 403), "\(scope) \(generation)")
                #expect(answer.errorType == (allowed.contains(generation) ? nil : "permission_error"))
            }
        }
    }

    @Test func anAPIKeyIsForTheSecondGeneration() throws {
        let api = FakeTunnelsAPI(FakeConfiguration(rules: [FakeRule(scope: "none")], apiTokens: ["key-1"]))
        for (generation, token, status) in [
            (FakeGeneration.second, "key-1", 200), (.first, "key-1", 403), (.second, "key-2", 401), (.second, "", 401),
        ] {
            var client = try FakeClient(api, generation)
            client.token = token
            #expect(client.send("GET", "").status == status)
        }
    }

    @Test func everyAnswerNamesItself() throws {
        let client = try FakeClient(FakeClient.api(workspaces: ["wrkspc_01A"]), workspace: "wrkspc_01A")
        var seen: Set<String> = []
        for answer in [client.send("GET", ""), client.send("GET", "/tnl_none"), client.send("POST", "", [:])] {
            let id = try #require(answer.response?.first("request-id"))
            #expect(id.hasPrefix("req_011CS") && seen.insert(id).inserted)
            #expect(answer.response?.first("anthropic-organization-id") == FakeRule.sampleOrganizationID)
            #expect(answer.response?.first("anthropic-workspace-id") == "wrkspc_01A")
            #expect(answer.response?.first("content-type") == "application/json")
            if answer.status != 200 {
                #expect(answer.json["type"] == "error" && answer.json["request_id"]?.text == id)
            }
            #expect(answer.json["added_later"] != nil, "every object has a member that no client knows")
        }
    }

    /// Method, path, content type, body, status.
    static let bodies: [(path: String, type: String?, body: String, status: Int)] = [
        ("", "application/json", "{}", 200), ("", "application/json; charset=utf-8", "{}", 200),
        ("", "APPLICATION/JSON", "{}", 200), ("", nil, "", 200), ("", "application/json", "", 200),
        ("", "text/plain", "{}", 400), ("", nil, "{}", 400), ("", "application/x-www-form-urlencoded", "{}", 400),
        ("", "application/json", "[]", 400), ("", "application/json", "null", 400), ("", "application/json", "x", 400),
        ("", "application/json", "{} {}", 400), ("", "application/json", "{\"display_name\":", 400),
        ("", "application/json", #"{"name":"x"}"#, 400), ("", "application/json", #"{"display_name":null}"#, 200),
        ("", "application/json", #"{"display_name":"x"}"#, 200), ("", "application/json", #"{"display_name":""}"#, 400),
        ("", "application/json", #"{"display_name":1}"#, 400), ("", "application/json", #"{"display_name":true}"#, 400),
        ("/tnl_T/archive", nil, "", 200), ("/tnl_T/archive", "application/json", "{}", 200),
        ("/tnl_T/archive", "application/json", #"{"a":1}"#, 400), ("/tnl_T/archive", "text/plain", "{}", 400),
        ("/tnl_T/reveal_token", "application/json", "[]", 400),
        ("/tnl_T/rotate_token", "application/json", #"{"reason":"leak"}"#, 200),
        ("/tnl_T/rotate_token", "application/json", #"{"reason":null}"#, 200),
        ("/tnl_T/rotate_token", "application/json", #"{"reason":7}"#, 400),
        ("/tnl_T/rotate_token", "application/json", #"{"why":"x"}"#, 400),
        ("/tnl_T/certificates", "application/json", "{}", 400),
        ("/tnl_T/certificates", "application/json", #"{"ca_certificate_pem":null}"#, 400),
        ("/tnl_T/certificates", "application/json", #"{"ca_certificate_pem":["x"]}"#, 400),
    ]

    @Test(arguments: bodies) func bodiesAreChecked(_ row: (path: String, type: String?, body: String, status: Int))
        throws
    {
        let client = try FakeClient(FakeClient.api(tunnels: [.init(displayName: nil, id: "tnl_T")]))
        var request = client.request("POST", row.path).with("content-type", row.type)
        request.body = Array(row.body.utf8)
        let answer = FakeClient.send(client.api, request)
        #expect(answer.status == row.status, "\(answer.text)")
        if row.status == 400 { #expect(answer.errorType == "invalid_request_error") }
    }

    @Test func aGetHasNoBody() throws {
        let client = try FakeClient(FakeClient.api())
        #expect(client.send("GET", "", [:]).status == 400)
    }

    @Test func theBodyHasALimit() throws {
        let client = try FakeClient(FakeClient.api())
        var request = client.request("POST", "")
        request.body = Array("{}".utf8) + [UInt8](repeating: 0x20, count: 1 << 20 - 2)
        request.body = Array(request.body.prefix(1 << 20))
        #expect(FakeClient.send(client.api, request).status == 200)
        request.body.append(0x20)
        let answer = FakeClient.send(client.api, request)
        #expect(answer.status == 413 && answer.errorType == "request_too_large")
    }
}
