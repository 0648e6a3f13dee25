import Testing
import TunnelCore

@testable import TunnelAPI

/// What the client does about failures that pass: how often it tries, how long it waits, and what it then tells.
@Suite struct DeliveryTests {
    private func run(
        _ operation: Operation, _ steps: [ScriptedTransport.Step]
    ) async throws -> (error: APIError?, transport: ScriptedTransport) {
        let (client, transport) = try Sample.client([.granted()] + steps)
        let error = await apiError { () throws(APIError) in try await operation.run(client) }
        #expect(transport.unplayed == 0)
        return (error, transport)
    }

    static let passing: [ScriptedTransport.Step] = [
        .lost, .unreachable, .error(408), .error(409), .error(429), .error(500), .error(503), .error(504), .error(529),
    ]

    @Test(arguments: Operation.all.filter(\.isRepeated)) func thirdAttemptCounts(_ operation: Operation) async throws {
        for failure in Self.passing {
            let (error, transport) = try await run(operation, [failure, failure, .ok(operation.answer)])
            #expect(error == nil && transport.pauses.count == 2)
            #expect((.milliseconds(375) ... .milliseconds(500)).contains(transport.pauses[0]))
            #expect((.milliseconds(750) ... .seconds(1)).contains(transport.pauses[1]))
        }
    }

    @Test(arguments: Operation.all.filter(\.isRepeated)) func threeFailuresAreFinal(_ operation: Operation) async throws
    {
        let (error, _) = try await run(operation, [.error(503), .unreachable, .error(429, "rate_limit_error", "slow")])
        #expect(error?.code == .rateLimited && error?.status == 429 && error?.type == "rate_limit_error")
        #expect(error?.mayHaveBeenActedOn == operation.changes)
        let (refused, _) = try await run(operation, [.error(529), .error(429), .unreachable])
        #expect(refused?.code == .transport && refused?.mayHaveBeenActedOn == false)
    }

    /// A creation is sent once, and the error says precisely whether there may be a tunnel now.
    @Test(arguments: [
        (ScriptedTransport.Step.lost, true), (.unreachable, false), (.error(408), true), (.error(409), false),
        (.error(429), false), (.error(500), true), (.error(502), true), (.error(503), true), (.error(504), true),
        (.error(529), false), (.error(400), false), (.error(403), false), (.status(302), false), (.ok("{}"), true),
        (.fail(TransportError(.tooLarge, "long", mayHaveBeenReceived: true)), true),
        (.error(503, "api_error", "no", ["x-should-retry": "true"]), true),
    ])
    func creationIsSentOnce(_ row: (failure: ScriptedTransport.Step, mayHaveBeenActedOn: Bool)) async throws {
        let (error, transport) = try await run(.create, [row.failure])
        #expect(error?.mayHaveBeenActedOn == row.mayHaveBeenActedOn)
        #expect(error?.remedy.contains("list the tunnels") == row.mayHaveBeenActedOn)
        #expect(error?.description.contains("may have been carried out") == row.mayHaveBeenActedOn)
        #expect(transport.pauses.isEmpty && transport.requests.count == 2)
    }

    /// Doubt stays, whatever comes after it.
    @Test func doubtOfAnEarlierAttemptStays() async throws {
        let (error, _) = try await run(.rotate, [.lost, .error(404, "not_found_error")])
        #expect(error?.code == .notFound && error?.mayHaveBeenActedOn == true)
        let (reading, _) = try await run(.list, [.lost, .error(404, "not_found_error")])
        #expect(reading?.mayHaveBeenActedOn == false)
    }

    @Test func waitsAsLongAsItIsAsked() async throws {
        let (error, transport) = try await run(
            .list,
            [
                .error(429, "x", "no", ["retry-after": "60"]), .error(429, "x", "no", ["retry-after-ms": "10"]),
                .ok(Operation.list.answer),
            ])
        #expect(error == nil && transport.pauses == [.seconds(60), .milliseconds(10)])
    }

    @Test func doesNotWaitLonger() async throws {
        let (error, transport) = try await run(
            .list, [.error(429, "rate_limit_error", "slow", ["retry-after": "61"])])
        #expect(error?.code == .rateLimited && transport.pauses.isEmpty)
        #expect(error?.remedy == "try again later: the server asks for 61 seconds")
    }

    @Test func serverDecidesAboutRetry() async throws {
        let again = ["x-should-retry": "true"], never = ["x-should-retry": "false"]
        let (error, _) = try await run(.list, [.error(400, "x", "no", again), .ok(Operation.list.answer)])
        #expect(error == nil)
        let (refused, _) = try await run(.list, [.error(503, "x", "no", never)])
        #expect(refused?.code == .server)
    }

    private static func slow(_ seconds: Int64, _ status: Int, _ fields: [HTTPField] = []) -> ScriptedTransport.Step {
        .late(seconds, HTTPResponse(status: status, fields: fields))
    }

    @Test func requestsGetOnlyTheTimeThatIsLeft() async throws {
        let (_, transport) = try await run(.list, [Self.slow(80, 503), Self.slow(80, 503), Self.slow(10, 503)])
        let timeouts = transport.requests.map(\.timeout)
        #expect(timeouts[0] == .seconds(30) && timeouts[1] == .seconds(60) && timeouts[2] == .seconds(60))
        #expect(timeouts[3] < .seconds(20) && timeouts[3] > .seconds(18))
    }

    @Test func waitBeyondTheDeadlineIsNotBegun() async throws {
        let (error, transport) = try await run(.list, [Self.slow(150, 503, [HTTPField("retry-after", "31")])])
        #expect(error?.code == .server && transport.pauses.isEmpty)
    }

    @Test func slowExchangeCountsToo() async throws {
        let transport = ScriptedTransport([
            .late(
                181,
                HTTPResponse(
                    status: 200,
                    body: Array(
                        #"{"access_token":"t"}"#.utf8)))
        ])
        let client = try Sample.client(transport)
        let error = await apiError { () throws(APIError) in try await client.tunnels() }
        #expect(error?.code == .timedOut && error?.mayHaveBeenActedOn == false && transport.requests.count == 1)
    }
}
