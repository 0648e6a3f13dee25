import Testing
import TunnelAPI
import TunnelCore

/// Which generation is in force: by the scope granted, by the kind of credential, or as it was told.
@Suite struct APIGenerationTests {
    @Test func namesOfBoth() {
        #expect(APIGeneration.first.scope == "org:manage_tunnels")
        #expect(APIGeneration.first.betaFlag == "mcp-tunnels-2026-05-19")
        #expect(APIGeneration.first.basePath == "/v1/organizations/tunnels")
        #expect(APIGeneration.second.scope == "workspace:manage_tunnels")
        #expect(APIGeneration.second.betaFlag == "mcp-tunnels-2026-06-22")
        #expect(APIGeneration.second.basePath == "/v1/tunnels")
    }

    static let scopes: [(String?, APIGeneration)] = [
        ("workspace:manage_tunnels", .second), ("org:manage_tunnels", .first),
        ("org:manage_tunnels workspace:manage_tunnels", .second),
        ("user:profile  workspace:manage_tunnels", .second), ("user:profile", .first), ("", .first), (nil, .first),
        ("xworkspace:manage_tunnels", .first),
    ]

    @Test(arguments: scopes) func followsScope(_ row: (scope: String?, generation: APIGeneration)) async throws {
        let (client, _) = try Sample.client([.granted(row.scope)])
        #expect(try await client.authenticate() == row.generation)
    }

    @Test(arguments: APIGeneration.allCases) func overrideWins(_ generation: APIGeneration) async throws {
        for (scope, _) in Self.scopes {
            let client = try Sample.client(ScriptedTransport([.granted(scope)]), generation: generation)
            #expect(try await client.authenticate() == generation)
        }
    }

    @Test func keyIsOfTheSecond() async throws {
        let transport = ScriptedTransport([])
        let key = APICredential.token(Secret(Sample.apiKey))
        #expect(try await Sample.client(transport, key).authenticate() == .second)
        #expect(try await Sample.client(transport, key, generation: .first).authenticate() == .first)
        #expect(transport.requests.isEmpty)
    }
}
