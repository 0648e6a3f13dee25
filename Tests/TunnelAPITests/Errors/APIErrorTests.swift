import Testing
import TunnelCore

@testable import TunnelAPI

/// The texts that a person reads: what failed, where, the server's words, the request, what to do; and no secret.
@Suite struct APIErrorTests {
    private func error(
        _ operation: Operation, _ step: ScriptedTransport.Step, key: Bool = false,
        scope: String? = "workspace:manage_tunnels"
    ) async throws -> APIError {
        // As many as a client may come for.
        let transport = ScriptedTransport((key ? [] : [.granted(scope)]) + [step, step, step])
        let client = try Sample.client(transport, key ? .token(Secret(Sample.apiKey)) : nil)
        return try #require(await apiError { () throws(APIError) in try await operation.run(client) })
    }

    private static let beta =
        "Unexpected value(s) `mcp-tunnels-2026-06-22` for the `anthropic-beta` header. Please consult our documentation."
    private static let cap = "Organization already has the maximum of 10 non-archived Tunnels"

    @Test func codesReadAsTheyAreSpelled() {
        #expect("\(APIError.Code.notFound) \(APIError.Hop.exchange)" == "not-found token exchange")
        #expect("\(TransportError.Code.timedOut) \(TransportError.Stage.lookup)" == "timed-out look up")
        #expect("\(CredentialError.Code.missing) \(KubernetesError.Code.alreadyExists)" == "missing already-exists")
    }

    @Test func tellsAll() async throws {
        let step = ScriptedTransport.Step.error(403, "permission_error", "not you", ["request-id": "req_field"])
        let error = try await error(.addCertificate, step)
        #expect(
            error.description
                == "cannot add the CA certificate: Tunnels API: HTTP 403 (permission_error): not you "
                + "[request id req_field]; the federation rule must grant the scope workspace:manage_tunnels, and its "
                + "service account must be a member of the tunnel's workspace")
    }

    @Test func requestIDOfTheBody() async throws {
        #expect(try await error(.list, .error(404)).description.contains("[request id req_body]"))
    }

    @Test(arguments: [
        (400, APIError.Code.invalidRequest), (401, .unauthenticated), (402, .invalidRequest), (403, .forbidden),
        (404, .notFound), (408, .timedOut), (409, .conflict), (413, .tooLarge), (422, .invalidRequest),
        (429, .rateLimited), (500, .server), (503, .server), (504, .timedOut), (529, .overloaded),
        (302, .malformedResponse), (304, .malformedResponse), (100, .malformedResponse), (600, .malformedResponse),
    ])
    func codeFollowsStatus(_ row: (status: Int, code: APIError.Code)) {
        #expect(APIError.Code(status: row.status) == row.code)
    }

    @Test(arguments: [("workspace:manage_tunnels", "--api-generation 1"), ("org:manage_tunnels", "--api-generation 2")])
    func remedyForUnknownBeta(_ row: (scope: String, flag: String)) async throws {
        let error = try await error(.list, .error(400, "invalid_request_error", Self.beta), scope: row.scope)
        #expect(error.remedy.contains(row.flag) && error.remedy.contains("access"))
    }

    /// The status of the cap is not published.
    @Test(arguments: [400, 403, 409, 429]) func remedyForCap(_ status: Int) async throws {
        let error = try await error(.create, .error(status, "x", Self.cap))
        #expect(error.message == Self.cap)
        #expect(error.remedy.contains("archive tunnels") && error.remedy.contains("--tunnel-id"))
    }

    @Test(arguments: [401, 403]) func remedyForKey(_ status: Int) async throws {
        let error = try await error(.list, .error(status), key: true)
        for word in ["API_TOKEN", "revoked", "incompletely", "another organization"] {
            #expect(error.remedy.contains(word))
        }
    }

    @Test func remedyFor404() async throws {
        #expect(try await error(.rotate, .error(404)).remedy.contains("--tunnel-id"))
        #expect(try await error(.rotate, .error(404)).remedy.contains("--api-generation"))
        #expect(try await error(.list, .error(404)).remedy.contains("--api-url"))
    }

    @Test(arguments: [400, 409]) func remedyForThirdCertificate(_ status: Int) async throws {
        let remedy = try await error(.addCertificate, .error(status)).remedy
        #expect(remedy.contains("at most two CA certificates") && remedy.contains("setup verify"))
    }

    @Test func remedyFor413() async throws {
        #expect(try await error(.addCertificate, .error(413)).remedy.contains("8192 bytes"))
    }

    @Test(arguments: [
        (TransportError.Code.nameNotFound, APIError.Code.transport, "DNS"), (.connect, .transport, "--api-url"),
        (.proxy, .transport, "HTTPS_PROXY"), (.tls, .transport, "certificate"), (.timedOut, .timedOut, "firewall"),
        (.closed, .transport, "reached"), (.malformed, .malformedResponse, "is the Claude API"),
        (.tooLarge, .malformedResponse, "is the Claude API"),
    ])
    func transport(_ row: (code: TransportError.Code, expected: APIError.Code, word: String)) async throws {
        let error = try await error(.list, .fail(TransportError(row.code, "reason with host")))
        #expect(error.code == row.expected && error.message == "reason with host" && error.status == nil)
        #expect(error.remedy.contains(row.word) && error.remedy.contains("https://api.anthropic.com"))
    }

    /// The API's certificate has no part in it.
    @Test(arguments: [TransportError.Stage.proxyHandshake, .proxy])
    func transportToAProxyInTLS(_ stage: TransportError.Stage) async throws {
        let failure = TransportError(.tls, stage, "proxy.example:3128", "certificate has expired")
        let remedy = try await error(.list, .fail(failure)).remedy
        for word in ["HTTPS_PROXY", "http://", "SSL_CERT_FILE", "beside that of https://api.anthropic.com"] {
            #expect(remedy.contains(word))
        }
    }

    @Test func bodyThatIsNoErrorIsNotShown() async throws {
        let error = try await error(.list, .status(404, "<html>\(Sample.accessToken)</html>"))
        #expect(error.message == "[redacted; not a JSON error response]" && error.requestID == nil)
    }

    /// Whatever a response echoes, and wherever, no text of the error holds a secret or a second line: not one that the
    /// request carried, whole or in part, nor any other token that can be known by its look.
    @Test func noTextHoldsSecretOrSecondLine() async throws {
        let tokens = [Sample.assertion, Sample.accessToken, Sample.secondToken, Sample.tunnelToken]
        let echoes = tokens.flatMap(Self.whole) + Self.parts(Sample.accessToken)
        for (echo, isKey) in echoes.map({ ($0, false) }) + Self.parts(Sample.apiKey).map({ ($0, true) }) {
            for step in Self.echoes(of: echo) {
                for operation in [Operation.create, .addCertificate, .list, .rotate] {
                    try await expectClean(error(operation, step, key: isKey))
                }
            }
        }
        for echo in tokens.flatMap(Self.whole) + Self.parts(Sample.assertion) {
            for step in Self.echoes(of: echo) {
                let client = try Sample.client(ScriptedTransport([step, step, step]))
                let error = await apiError { () throws(APIError) in try await client.authenticate() }
                expectClean(try #require(error))
            }
        }
    }

    private static func whole(_ secret: String) -> [String] { [secret, "a\(secret)b", "\(secret)\n\(secret)"] }

    private static func parts(_ secret: String) -> [String] {
        whole(secret) + ["\u{1b}[1m\(secret.dropFirst(3))", "x\(secret.dropFirst(3).prefix(24))y"]
    }

    private func expectClean(_ error: APIError) {
        var dumped = ""
        dump(error, to: &dumped)
        for text in [error.description, error.message, error.type ?? "", error.requestID ?? "", error.remedy, dumped] {
            for secret in Sample.secrets { #expect(!text.contains(secret.dropFirst(3).prefix(24)), "\(text)") }
        }
        #expect(!error.description.contains("\n") && !error.description.contains("\u{1b}"))
        #expect(!error.remedy.isEmpty)
    }

    private static func echoes(of text: String) -> [ScriptedTransport.Step] {
        let json = text.replacing("\n", with: #"\n"#).replacing("\u{1b}", with: #"\u001b"#)
        return [
            .error(400, "invalid_request_error", json), .error(400, json, "no"),
            .error(400, "x", "no", ["request-id": text]), .status(400, text),
            .status(400, #"{"error":"\#(json)","error_description":"\#(json)","error_uri":"\#(json)"}"#),
            .status(400, #"{"error":{"message":"no"},"request_id":"\#(json)","assertion":"\#(json)"}"#),
            .status(403, #"{"message":"\#(json)"}"#), .ok(text), .ok(#"{"id":"\#(json)","data":["\#(json)"]}"#),
            .ok(#"{"data":[],"next_page":7,"access_token":"\#(json)","token_type":"\#(json)"}"#),
            .fail(TransportError(.closed, text)),
        ]
    }
}
