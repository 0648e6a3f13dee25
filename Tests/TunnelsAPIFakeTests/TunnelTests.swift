import Testing
import TunnelPKI
import TunnelsAPIFake

/// Tunnels, their tokens and their lists.
@Suite struct TunnelTests {
    @Test func aTunnelOfEachGeneration() throws {
        let first = try FakeClient(
            FakeClient.api(.first, workspaces: ["default", "wrkspc_01A"]), .first, workspace: "default")
        let id = first.api.makeTunnel(displayName: "Production", workspaceID: "wrkspc_01A").id
        let tunnel = first.send("GET", "/\(id)").json
        #expect(tunnel["type"] == "tunnel" && tunnel["id"]?.text == id && tunnel["display_name"] == "Production")
        #expect(tunnel["workspace_id"] == "wrkspc_01A" && tunnel["archived_at"] == .null)
        let other = first.api.makeTunnel().id
        #expect(first.send("GET", "/\(other)").json["workspace_id"] == .null, "the default workspace has no id")

        let second = try FakeClient(FakeClient.api())
        let created = second.send("POST", "", ["display_name": "Staging"]).json
        #expect(created["workspace_id"] == nil && created["display_name"] == "Staging")
        #expect(try #require(created["id"]?.text).wholeMatch(of: /tnl_01[0-9A-Za-z]{22}/) != nil)
        #expect(try #require(created["domain"]?.text).wholeMatch(of: /[a-z0-9]{8}\.tunnel\.anthropic\.com/) != nil)
        let time = try #require(created["created_at"]?.text)
        #expect(time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil)
        #expect(second.send("GET", "/\(try #require(created["id"]?.text))").json == created)
    }

    @Test func namesHaveALength() throws {
        let client = try FakeClient(FakeClient.api())
        for (count, status) in [(0, 400), (1, 200), (255, 200), (256, 400)] {
            let answer = client.send("POST", "", ["display_name": .string(String(repeating: "é", count: count))])
            #expect(answer.status == status, "\(count)")
        }
    }

    @Test func tenTunnelsInAllWorkspaces() throws {
        let client = try FakeClient(FakeClient.api())
        for index in 0..<4 { client.api.makeTunnel(displayName: "\(index)", workspaceID: "wrkspc_01A") }
        var last = ""
        for _ in 0..<6 { last = try client.create() }
        let refused = client.send("POST", "", [:])
        #expect(refused.message == "Organization already has the maximum of 10 non-archived Tunnels")
        #expect(refused.status == 400 && client.api.tunnels.count == 10)
        #expect(client.send("POST", "/\(last)/archive").status == 200)
        #expect(client.send("POST", "", [:]).status == 200)
    }

    @Test func archivingIsForGoodAndIdempotent() throws {
        let client = try FakeClient(FakeClient.api())
        let id = try client.create("x")
        let certificate = try #require(
            client.add(try CertificateAuthority.fresh(client.api).pem, to: id).json["id"]?.text)
        let archived = client.send("POST", "/\(id)/archive").json
        #expect(try #require(archived["archived_at"]?.text).wholeMatch(of: /.*\.\d{6}Z/) != nil)
        client.api.advance(bySeconds: 10)
        #expect(client.send("POST", "/\(id)/archive").json == archived)
        #expect(client.send("GET", "/\(id)").json == archived)
        #expect(client.send("GET", "/\(id)/certificates/\(certificate)").json["archived_at"]?.text != nil)
        #expect(client.api.tunnels[0].token == nil && client.api.tunnels[0].formerTokens.count == 1)
        for operation in ["reveal_token", "rotate_token"] {
            #expect(client.send("POST", "/\(id)/\(operation)").errorType == "invalid_request_error")
        }
        #expect(client.add(try CertificateAuthority.fresh(client.api).pem, to: id).status == 400)
        #expect(
            client.api.audit.map(\.kind) == [
                .accessTokenMinted, .tunnelCreated, .certificateAdded, .certificateRevoked, .tunnelArchived,
            ])
    }

    @Test func theTokenIsTheSameUntilItIsRotated() throws {
        let client = try FakeClient(FakeClient.api())
        let id = try client.create()
        let first = client.send("POST", "/\(id)/reveal_token").json
        #expect(first["type"] == "tunnel_token" && client.send("POST", "/\(id)/reveal_token").json == first)
        let token = try #require(first["tunnel_token"]?.text)
        #expect(token.hasPrefix("eyJ") && client.api.tunnels[0].token == token)
        #expect(try #require(first["id"]?.text).wholeMatch(of: /ttkn_[0-9a-f]{64}/) != nil)

        let rotated = client.send("POST", "/\(id)/rotate_token", ["reason": "leaked"]).json
        #expect(rotated["tunnel_token"] != first["tunnel_token"] && rotated["id"] != first["id"])
        #expect(client.send("POST", "/\(id)/reveal_token").json == rotated)
        #expect(client.api.tunnels[0].formerTokens == [token])
        let event = try #require(client.api.audit.first { $0.kind == .tokenRotated })
        #expect(event.reason == "leaked" && event.tokenID == rotated["id"]?.text && event.tunnelID == id)
        #expect(client.api.audit.count { $0.kind == .tokenRevealed } == 3, "every reveal is on record")
    }

    /// SHA-256 of "abc" (FIPS 180-2, appendix B.1).
    @Test func theTokensIDIsItsDigest() throws {
        let client = try FakeClient(FakeClient.api())
        let answer = client.send("POST", "/\(try client.create())/reveal_token").json
        let token = try #require(answer["tunnel_token"]?.text)
        let digest = try OpenSSLCommand.run(["dgst", "-sha256", "-r"], input: Array(token.utf8))
        #expect(answer["id"]?.text == "ttkn_" + digest.prefix(64))
    }

    @Test func aTunnelOfAnotherWorkspace() throws {
        let second = try FakeClient(FakeClient.api(workspaces: ["wrkspc_01A"]))
        let own = second.api.makeTunnel(workspaceID: "wrkspc_01A").id
        for foreign in [second.api.makeTunnel(workspaceID: "wrkspc_01B").id, second.api.makeTunnel().id] {
            #expect(second.send("GET", "/\(foreign)").errorType == "not_found_error")
            #expect(second.send("POST", "/\(foreign)/reveal_token").status == 404)
            #expect(second.send("GET", "/\(foreign)/certificates").status == 404)
        }
        #expect(second.send("GET", "").ids == [own])
        #expect(second.api.audit.allSatisfy { $0.kind != .tokenRevealed })
        let created = try second.create()
        #expect(second.api.tunnels.last?.id == created && second.api.tunnels.last?.workspaceID == "wrkspc_01A")

        let first = try FakeClient(FakeClient.api(.first, workspaces: ["wrkspc_01A"]), .first)
        let foreign = first.api.makeTunnel(workspaceID: "wrkspc_01B").id
        #expect(first.send("GET", "/\(foreign)").errorType == "permission_error")
        #expect(first.send("GET", "").ids == [foreign])
    }

    // MARK: Lists

    @Test func pagesAreNewestFirstAndComplete() throws {
        let client = try FakeClient(FakeClient.api())
        let ids = try (0..<7).map { try client.create("\($0)") }
        var seen: [String] = []
        var cursor: String?
        repeat {
            let answer = client.send("GET", "?limit=3" + (cursor.map { "&page=\($0)" } ?? ""))
            seen += answer.ids
            cursor = answer.json["next_page"]?.text
            // One that is made meanwhile does not shift the pages.
            if seen.count == 3 { _ = try client.create("late") }
        } while cursor != nil
        #expect(seen == ids.reversed())
        #expect(client.send("GET", "?limit=8").json["next_page"] == .null)
        let keys = client.send("GET", "").json.members?.keys.sorted()
        #expect(keys == ["added_later", "data", "next_page"], "there is no has_more, first_id or last_id")
    }

    @Test func twentyUnlessToldOtherwise() throws {
        let client = try FakeClient(FakeClient.api())
        for _ in 0..<21 { #expect(client.send("POST", "/\(try client.create())/archive").status == 200) }
        #expect(client.send("GET", "").ids.isEmpty)
        #expect(client.send("GET", "?include_archived=false").ids.isEmpty)
        #expect(client.send("GET", "?include_archived=true").ids.count == 20)
        #expect(client.send("GET", "?include_archived=true&limit=1000").ids.count == 21)
    }

    @Test func theFirstGenerationFiltersByWorkspace() throws {
        let client = try FakeClient(FakeClient.api(.first), .first)
        let plain = client.api.makeTunnel().id, inA = client.api.makeTunnel(workspaceID: "wrkspc_01A").id
        #expect(client.send("GET", "").ids == [inA, plain])
        #expect(client.send("GET", "?workspace_id=wrkspc_01A").ids == [inA])
        #expect(client.send("GET", "?workspace_id=wrkspc_01B").ids.isEmpty)
        #expect(client.send("GET", "?workspace_id=default").status == 400)
    }

    @Test(arguments: [
        ("?limit=0", 400), ("?limit=1", 200), ("?limit=1000", 200), ("?limit=1001", 400), ("?limit=x", 400),
        ("?limit=", 400), ("?limit=-1", 400), ("?limit=1&limit=1", 400), ("?include_archived=1", 400),
        ("?include_archived=TRUE", 400), ("?include_archive=true", 400), ("?page=x", 400), ("?page=", 400),
        ("?page=page_AAAA", 400), ("?beta=true", 200), ("?beta=false", 400), ("?workspace_id=wrkspc_01A", 400),
        ("?li%6Dit=1", 200), ("?limit=%2", 400), ("?limit=%zz", 400), ("?", 200),
    ])
    func parametersAreChecked(_ query: String, _ status: Int) throws {
        let answer = try FakeClient(FakeClient.api()).send("GET", query)
        #expect(answer.status == status, "\(answer.text)")
        if status == 400 { #expect(answer.errorType == "invalid_request_error") }
    }

    @Test func aCursorIsForItsListOnly() throws {
        let client = try FakeClient(FakeClient.api())
        let id = try client.create()
        _ = try client.create()
        let cursor = try #require(client.send("GET", "?limit=1").json["next_page"]?.text)
        #expect(client.send("GET", "/\(id)/certificates?page=\(cursor)").status == 400)
        #expect(client.send("POST", "/\(id)/archive?limit=1").status == 400)
        #expect(client.send("POST", "/\(id)/archive?beta=true").status == 200)
    }
}
