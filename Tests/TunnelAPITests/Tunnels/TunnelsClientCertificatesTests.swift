import Testing

@testable import TunnelAPI

/// Registering a CA: what is refused unsent, and how it is never registered twice.
@Suite struct TunnelsClientCertificatesTests {
    private static let listed = ScriptedTransport.Step.ok(#"{"data":[\#(Sample.certificate)],"next_page":null}"#)
    private static let none = ScriptedTransport.Step.ok(#"{"data":[],"next_page":null}"#)

    private func add(
        _ steps: [ScriptedTransport.Step], fingerprint: String? = Sample.fingerprint
    ) async throws -> (error: APIError?, targets: [String]) {
        let (client, transport) = try Sample.client([.granted()] + steps)
        let error = await apiError { () throws(APIError) in
            try await client.addCertificate(Sample.pem, to: Sample.tunnelID, fingerprint: fingerprint)
        }
        #expect(transport.unplayed == 0)
        return (
            error,
            transport.requests.dropFirst().map {
                "\($0.method) \($0.target.dropFirst("/v1/tunnels/\(Sample.tunnelID)".count))"
            }
        )
    }

    @Test func sizeIsBounded() async throws {
        let (client, transport) = try Sample.client([.granted(), .ok(Sample.certificate)])
        let longest = [UInt8](repeating: UInt8(ascii: "a"), count: 8192)
        _ = try await client.addCertificate(longest, to: Sample.tunnelID)
        let error = await apiError { () throws(APIError) in
            try await client.addCertificate(longest + [0x0A], to: Sample.tunnelID)
        }
        #expect(error?.code == .invalidArgument && error?.message.contains("8193 bytes") == true)
        #expect(transport.requests.count == 2)
    }

    @Test(arguments: ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"])
    func privateKeyIsNotSent(_ label: String) async throws {
        let (client, transport) = try Sample.client([])
        let key = Array("-----BEGIN \(label)-----\nc2VjcmV0\n-----END \(label)-----\n".utf8)
        let error = await apiError { () throws(APIError) in
            try await client.addCertificate(Sample.pem + key, to: Sample.tunnelID)
        }
        #expect(error?.code == .invalidArgument && error?.message.contains("private key") == true)
        #expect(error?.description.contains("c2VjcmV0") == false && transport.requests.isEmpty)
    }

    @Test(arguments: [[], [0x30, 0x82, 0xFF]] as [[UInt8]]) func bytesThatAreNoText(_ bytes: [UInt8]) async throws {
        let (client, _) = try Sample.client([])
        let error = await apiError { () throws(APIError) in try await client.addCertificate(bytes, to: "tnl_1") }
        #expect(error?.code == .invalidArgument)
    }

    /// Answers which show that it was not registered.
    @Test(arguments: [ScriptedTransport.Step.unreachable, .error(429), .error(529), .error(409)])
    func isSentAgain(_ failure: ScriptedTransport.Step) async throws {
        let (error, targets) = try await add([failure, .ok(Sample.certificate)], fingerprint: nil)
        #expect(error == nil && targets.count == 2)
    }

    /// Without a fingerprint nobody can tell whether the first attempt registered it.
    @Test(arguments: [ScriptedTransport.Step.lost, .error(500), .error(503), .error(408), .ok("{}")])
    func isNotSentAgainInDoubt(_ failure: ScriptedTransport.Step) async throws {
        let (error, targets) = try await add([failure], fingerprint: nil)
        #expect(error?.mayHaveBeenActedOn == true && targets.count == 1)
        #expect(error?.remedy.contains("list the tunnel's certificates") == true)
    }

    @Test(arguments: [ScriptedTransport.Step.lost, .error(500), .ok("{}")])
    func doubtIsResolvedByTheList(_ failure: ScriptedTransport.Step) async throws {
        let found = try await add([failure, Self.listed], fingerprint: Sample.fingerprint.uppercased())
        #expect(found.error == nil)
        #expect(found.targets == ["POST /certificates", "GET /certificates?limit=100"])
        let absent = try await add([failure, Self.none, .ok(Sample.certificate)])
        #expect(absent.error == nil && absent.targets.count == 3)
    }

    @Test func archivedOneDoesNotCount() async throws {
        let archived = Sample.certificate.replacing(
            #""archived_at":null"#, with: #""archived_at":"2026-01-01T00:00:00Z""#)
        let (error, targets) = try await add([
            .lost, .ok(#"{"data":[\#(archived)]}"#), .ok(Sample.certificate),
        ])
        #expect(error == nil && targets.count == 3)
    }

    @Test func listThatFailsLeavesDoubt() async throws {
        let (error, _) = try await add([.lost, .error(403, "permission_error", "nope")])
        #expect(error?.code == .forbidden && error?.mayHaveBeenActedOn == true && error?.message == "nope")
        #expect(error?.remedy.contains("list the tunnel's certificates") == true)
    }

    @Test func secondFailureIsFinal() async throws {
        let (error, targets) = try await add([.lost, Self.none, .lost])
        #expect(error?.mayHaveBeenActedOn == true && targets.count == 3)
    }
}
