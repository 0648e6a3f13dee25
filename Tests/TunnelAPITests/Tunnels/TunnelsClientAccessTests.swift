import Testing
import TunnelCore

@testable import TunnelAPI

/// How long an access token is kept, and what a 401 does.
@Suite struct TunnelsClientAccessTests {
    private static let get: @Sendable (TunnelsClient) async throws(APIError) -> Void = {
        (client) throws(APIError) in _ = try await client.tunnel(Sample.tunnelID)
    }

    @Test func oneExchangeForManyCalls() async throws {
        let (client, transport) = try Sample.client([.granted(), .ok(Sample.tunnel), .ok(Sample.tunnel)])
        _ = try await client.authenticate()
        try await Self.get(client)
        try await Self.get(client)
        #expect(transport.requests.map(\.target).filter { $0 == "/v1/oauth/token" }.count == 1)
    }

    /// Thirty seconds before its end a token is not used any more.
    @Test(arguments: [(569, 1), (570, 2)]) func renewsBeforeExpiry(_ row: (seconds: Int, exchanges: Int)) async throws {
        let second: [ScriptedTransport.Step] =
            row.exchanges == 2 ? [.granted(token: Sample.secondToken, expiresIn: 600)] : []
        let (client, transport) = try Sample.client([.granted(expiresIn: 600)] + second + [.ok(Sample.tunnel)])
        _ = try await client.authenticate()
        transport.advance(.seconds(row.seconds))
        try await Self.get(client)
        #expect(
            transport.requests.last?.bearerToken?.reveal()
                == (row.exchanges == 2 ? Sample.secondToken : Sample.accessToken))
    }

    @Test func tokenWithoutLifetimeIsKept() async throws {
        let (client, transport) = try Sample.client([.granted(expiresIn: nil), .ok(Sample.tunnel)])
        _ = try await client.authenticate()
        transport.advance(.seconds(1_000_000))
        try await Self.get(client)
        #expect(transport.unplayed == 0)
    }

    /// A 401 says that nothing was done, so this holds for the creation too.
    @Test(arguments: Operation.all) func refusedTokenIsRenewedOnce(_ operation: Operation) async throws {
        let (client, transport) = try Sample.client([
            .granted(), .error(401, "authentication_error"), .granted(token: Sample.secondToken),
            .ok(operation.answer),
        ])
        try await operation.run(client)
        #expect(
            transport.requests.map { $0.bearerToken?.reveal() } == [nil, Sample.accessToken, nil, Sample.secondToken])
        #expect(transport.pauses.isEmpty)
    }

    @Test(arguments: Operation.all) func secondRefusalIsFinal(_ operation: Operation) async throws {
        let (client, transport) = try Sample.client([
            .granted(), .error(401, "authentication_error"), .granted(token: Sample.secondToken),
            .error(401, "authentication_error", "no", ["request-id": "req_2"]),
        ])
        let error = await apiError { () throws(APIError) in try await operation.run(client) }
        #expect(error?.code == .unauthenticated && error?.hop == .api && error?.requestID == "req_2")
        #expect(error?.mayHaveBeenActedOn == false && transport.unplayed == 0)
    }

    @Test func renewalFollowsTheNewScope() async throws {
        let (client, transport) = try Sample.client([
            .granted("org:manage_tunnels"), .error(401), .granted(token: Sample.secondToken), .ok(Sample.tunnel),
        ])
        try await Self.get(client)
        #expect(transport.requests[1].target.hasPrefix("/v1/organizations/tunnels/"))
        #expect(transport.requests[3].target.hasPrefix("/v1/tunnels/"))
    }

    @Test func refusedKeyIsFinal() async throws {
        let transport = ScriptedTransport([.error(401, "authentication_error")])
        let client = try Sample.client(transport, .token(Secret(Sample.apiKey)))
        let error = await apiError { () throws(APIError) in try await client.tunnels() }
        #expect(error?.code == .unauthenticated && error?.remedy.contains("API_TOKEN") == true)
        #expect(error?.remedy.contains("another organization") == true)
    }

    @Test func failedRenewalKeepsDoubt() async throws {
        let (client, _) = try Sample.client([.granted(), .lost, .error(401), .error(400)])
        let error = await apiError { () throws(APIError) in try await client.archiveTunnel(Sample.tunnelID) }
        #expect(error?.hop == .exchange && error?.code == .invalidRequest && error?.mayHaveBeenActedOn == true)
    }

    @Test func renewalKeepsDoubt() async throws {
        let (client, _) = try Sample.client([
            .granted(), .lost, .error(401), .granted(token: Sample.secondToken), .error(404),
        ])
        let error = await apiError { () throws(APIError) in try await client.archiveTunnel(Sample.tunnelID) }
        #expect(error?.hop == .api && error?.code == .notFound && error?.mayHaveBeenActedOn == true)
    }

    @Test func exchangeIsSentAgain() async throws {
        let (client, transport) = try Sample.client([.lost, .error(529), .granted()])
        #expect(try await client.authenticate() == .second)
        #expect(transport.pauses.count == 2)
    }

    @Test func exchangeTellsOfTransport() async throws {
        let (client, _) = try Sample.client([.unreachable, .unreachable, .unreachable])
        let error = await apiError { () throws(APIError) in try await client.authenticate() }
        #expect(error?.hop == .exchange && error?.code == .transport && error?.status == nil)
        #expect(error?.description.contains("connection refused") == true)
    }
}
