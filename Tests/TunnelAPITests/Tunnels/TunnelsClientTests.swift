import Testing
import TunnelCore

@testable import TunnelAPI

/// Each operation's request, in both generations and with both credentials, and arguments that are refused unsent.
@Suite struct TunnelsClientTests {
    @Test(arguments: Operation.all) func requestOfTheSecondGeneration(_ operation: Operation) async throws {
        let (client, transport) = try Sample.client([.granted(), .ok(operation.answer)])
        try await operation.run(client)
        let request = transport.requests[1]
        check(request, operation, base: "/v1/tunnels")
        #expect(request.field("anthropic-beta") == "mcp-tunnels-2026-06-22,oauth-2025-04-20")
        #expect(request.bearerToken?.reveal() == Sample.accessToken)
    }

    @Test(arguments: Operation.common) func requestOfTheFirstGeneration(_ operation: Operation) async throws {
        let (client, transport) = try Sample.client([.granted("org:manage_tunnels"), .ok(operation.answer)])
        try await operation.run(client)
        check(transport.requests[1], operation, base: "/v1/organizations/tunnels")
        #expect(transport.requests[1].field("anthropic-beta") == "mcp-tunnels-2026-05-19,oauth-2025-04-20")
    }

    /// A key does not come from an exchange, and so goes without the exchange's flag.
    @Test(arguments: Operation.all) func requestWithKey(_ operation: Operation) async throws {
        let transport = ScriptedTransport([.ok(operation.answer)])
        try await operation.run(try Sample.client(transport, .token(Secret(Sample.apiKey))))
        check(transport.requests[0], operation, base: "/v1/tunnels")
        #expect(transport.requests[0].field("anthropic-beta") == "mcp-tunnels-2026-06-22")
        #expect(transport.requests[0].bearerToken?.reveal() == Sample.apiKey)
    }

    private func check(_ request: HTTPRequest, _ operation: Operation, base: String) {
        #expect(request.method == operation.method && request.target == base + operation.path)
        #expect(request.field("anthropic-version") == "2023-06-01")
        #expect(request.field("User-Agent") == "mcp-tunnel/\(TunnelAPIVersion.current)")
        #expect(request.field("Authorization") == nil)
        #expect(request.bodyText == operation.body)
        let isJSON = operation.body?.isEmpty == false
        #expect(request.field("Content-Type") == (isJSON ? "application/json" : nil))
        #expect(request.timeout == .seconds(60) && request.maxResponseBytes == 1 << 20)
        #expect(request.isRepeatable == operation.isRepeated)
    }

    @Test func nameIsOptional() async throws {
        let (client, transport) = try Sample.client([.granted(), .ok(Sample.tunnel)])
        _ = try await client.createTunnel(displayName: nil)
        #expect(transport.requests[1].bodyText == "{}")
    }

    @Test func firstGenerationCannotCreate() async throws {
        let (client, transport) = try Sample.client([.granted("org:manage_tunnels")])
        let error = await apiError { () throws(APIError) in try await client.createTunnel(displayName: nil) }
        #expect(error?.code == .unsupported && transport.requests.count == 1)
        #expect(error?.remedy.contains("Console") == true && error?.remedy.contains("--tunnel-id") == true)
    }

    @Test(arguments: [(0, false), (1, true), (255, true), (256, false)])
    func lengthOfName(_ row: (count: Int, isAccepted: Bool)) async throws {
        let (client, transport) = try Sample.client(row.isAccepted ? [.granted(), .ok(Sample.tunnel)] : [])
        let name = String(repeating: "ü", count: row.count)
        let error = await apiError { () throws(APIError) in try await client.createTunnel(displayName: name) }
        #expect((error == nil) == row.isAccepted && (error?.code ?? .invalidArgument) == .invalidArgument)
        #expect(transport.unplayed == 0)
    }

    @Test func workspaceIsAskedForInTheFirstGeneration() async throws {
        let (client, transport) = try Sample.client([.granted("org:manage_tunnels"), .ok(#"{"data":[]}"#)])
        #expect(try await client.tunnels(workspaceID: "wrkspc_1").isEmpty)
        #expect(transport.requests[1].target == "/v1/organizations/tunnels?workspace_id=wrkspc_1&limit=100")
    }

    @Test func workspaceIsRefusedInTheSecond() async throws {
        let (client, _) = try Sample.client([.granted()])
        let error = await apiError { () throws(APIError) in try await client.tunnels(workspaceID: "wrkspc_1") }
        #expect(error?.code == .unsupported && error?.remedy.contains("ANTHROPIC_WORKSPACE_ID") == true)
    }

    /// What would lead out of the path or make another request of it.
    @Test(arguments: ["", "..", "a/b", "a?b", "a#b", "a%2Fb", "a b", "a\r\nb", "tnl_é"])
    func idsAreLookedAtBeforeUse(_ id: String) async throws {
        let (client, transport) = try Sample.client([])
        for index in 0...10 {
            let error = await apiError { () throws(APIError) in try await Self.use(id, client, index) }
            #expect(error?.code == .invalidArgument)
        }
        #expect(transport.requests.isEmpty)
    }

    /// Each parameter that is an id.
    private static func use(_ id: String, _ client: TunnelsClient, _ index: Int) async throws(APIError) {
        switch index {
        case 0: _ = try await client.tunnel(id)
        case 1: _ = try await client.archiveTunnel(id)
        case 2: _ = try await client.revealToken(of: id)
        case 3: _ = try await client.rotateToken(of: id)
        case 4: _ = try await client.addCertificate(Sample.pem, to: id)
        case 5: _ = try await client.certificates(of: id)
        case 6: _ = try await client.certificate("tcrt_1", of: id)
        case 7: _ = try await client.certificate(id, of: "tnl_1")
        case 8: _ = try await client.archiveCertificate(id, of: "tnl_1")
        case 9: _ = try await client.archiveCertificate("tcrt_1", of: id)
        default: _ = try await client.tunnels(workspaceID: id)
        }
    }

    @Test func keyThatNoHeaderHoldsIsNotSent() async throws {
        let transport = ScriptedTransport([])
        let client = try Sample.client(transport, .token(Secret("key\r\nX: y")))
        let error = await apiError { () throws(APIError) in try await client.tunnels() }
        #expect(error?.code == .invalidArgument && error?.description.contains("X: y") == false)
    }

    @Test func answerBeyondTheLimitIsRefused() async throws {
        let body = String(repeating: " ", count: (1 << 20) - Sample.tunnel.utf8.count) + Sample.tunnel
        let (client, _) = try Sample.client([.granted(), .ok(body), .ok(body + " ")])
        #expect(try await client.tunnel(Sample.tunnelID).id == Sample.tunnelID)
        let error = await apiError { () throws(APIError) in try await client.tunnel(Sample.tunnelID) }
        #expect(error?.code == .malformedResponse)
    }

    /// An API, or somebody on the way, that answers about another object: whoever went on with that would archive a tunnel
    /// that nobody named, or trust a CA of another tunnel.
    @Test(arguments: Operation.common) func aResponseAboutAnotherObjectIsMalformed(_ operation: Operation) async throws
    {
        for id in [Sample.tunnelID, Sample.certificateID] where operation.path.contains(id) {
            let isNamed = operation.answer.contains(id)
            // Of a token nothing need be said, but if it is, it must be right.
            let isToken = operation.answer.contains("tunnel_token")
            guard isNamed || isToken else { continue }
            let other = String(id.dropLast()) + "x"
            let answer =
                isToken
                ? operation.answer.replacing(#""type":"#, with: #""tunnel_id":"\#(other)","type":"#)
                : operation.answer.replacing(id, with: other)
            let (client, _) = try Sample.client([.granted(), .ok(answer)])
            let error = await apiError { () throws(APIError) in try await operation.run(client) }
            #expect(error?.code == .malformedResponse && error?.mayHaveBeenActedOn == operation.changes)
            #expect(error?.message.hasSuffix("is not the one asked for") == true, "\(error as Any)")
        }
    }

    @Test func aTokenMayNameItsTunnel() async throws {
        let answer = Sample.token.replacing(#""type":"#, with: #""tunnel_id":"\#(Sample.tunnelID)","type":"#)
        let (client, _) = try Sample.client([.granted(), .ok(answer)])
        #expect(try await client.revealToken(of: Sample.tunnelID).value.reveal() == Sample.tunnelToken)
    }
}
