import FoundationEssentials
import Testing
import TunnelCore

@testable import TunnelAPI

/// The exchange as §5 of the facts has it: the request to the letter, and what is made of each response.
@Suite struct TokenExchangeTests {
    private func exchange(workspace: String? = nil) throws -> TokenExchange {
        TokenExchange(service: try Sample.service(), identity: try Sample.identity(workspace: workspace))
    }

    private func error(_ response: HTTPResponse, workspace: String? = nil) throws -> APIError? {
        let exchange = try exchange(workspace: workspace)
        do throws(APIError) {
            _ = try exchange.accessToken(
                response, assertion: Secret(Sample.jwt()), for: "list the tunnels", now: UnixTime(seconds: Sample.now))
            return nil
        } catch { return error }
    }

    @Test func requestIsToTheLetter() throws {
        let request = try exchange(workspace: "default").request(Secret(Sample.assertion))
        #expect(request.method == "POST" && request.target == "/v1/oauth/token")
        #expect(request.service == (try Sample.service()))
        #expect(request.field("Content-Type") == "application/json")
        #expect(request.field("anthropic-beta") == "oauth-2025-04-20,oidc-federation-2026-04-01")
        #expect(request.field("User-Agent") == "mcp-tunnel/\(TunnelAPIVersion.current)")
        #expect(request.bearerToken == nil && request.field("Authorization") == nil)
        #expect(request.timeout == .seconds(30) && request.maxResponseBytes == 1_048_576)
        #expect(
            request.bodyText
                == #"{"assertion":"\#(Sample.assertion)","federation_rule_id":"fdrl_01","#
                + #""grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","#
                + #""organization_id":"\#(Sample.organization)","workspace_id":"default"}"#)
    }

    @Test func workspaceIsLeftOutWhereNoneIsGiven() throws {
        #expect(try exchange().request(Secret("jwt")).bodyText?.contains("workspace") == false)
    }

    @Test func onlyStatus200IsSuccess() throws {
        let body = Array(#"{"access_token":"t"}"#.utf8)
        #expect(try error(HTTPResponse(status: 200, body: body)) == nil)
        for status in [201, 204, 302, 400, 401, 500] {
            #expect(try error(HTTPResponse(status: status, body: body))?.status == status)
        }
    }

    @Test func responseLimitIsExact() throws {
        let start = #"{"access_token":"t","x":""#, end = #""}"#
        let filler = TokenExchange.maxResponseBytes - start.utf8.count - end.utf8.count
        let longest = Array((start + String(repeating: "x", count: filler) + end).utf8)
        #expect(longest.count == 1_048_576)
        #expect(try error(HTTPResponse(status: 200, body: longest)) == nil)
        let error = try error(HTTPResponse(status: 200, body: longest + [0x20]))
        #expect(error?.code == .malformedResponse && error?.message.contains("exceeds 1048576 bytes") == true)
    }

    /// The server says "Authentication failed" whatever the reason.
    @Test func hintFor401() throws {
        let body = #"{"type":"error","error":{"type":"authentication_error","message":"Authentication failed"}}"#
        let response = HTTPResponse(
            status: 401, fields: [HTTPField("Request-Id", "req_1")], body: Array(body.utf8))
        let without = try #require(try error(response))
        #expect(without.code == .unauthenticated && without.hop == .exchange && without.requestID == "req_1")
        #expect(
            without.description
                == "cannot list the tunnels: token exchange: HTTP 401 (authentication_error): Authentication failed "
                + "[request id req_1]; Ensure your federation rule matches your identity token. "
                + #"Compare its iss "https://issuer.example" with the URL of the rule's issuer, byte for byte; "#
                + #"its sub "system:serviceaccount:mcp:setup" with subject_prefix, in which case counts and only a "#
                + #"final * stands for more; its aud "api.anthropic.com" with audience, byte for byte; "#
                + "its exp is 2027-01-15T08:10:00Z. "
                + "If your federation rule is scoped to multiple workspaces, set the ANTHROPIC_WORKSPACE_ID "
                + "environment variable. "
                + "View your authentication events in the Workload identity page of Claude Console for more details.")
        let with = try #require(try error(response, workspace: "default"))
        #expect(!with.remedy.contains("ANTHROPIC_WORKSPACE_ID") && with.remedy.contains("Workload identity page"))
    }

    @Test func oauthErrorIsKeptAndTheRestIsNot() throws {
        let body = """
            {"error":"invalid_grant","error_description":"bad","error_uri":"https://x/y",
             "assertion":"\(Sample.assertion)","debug":"internal detail"}
            """
        let error = try #require(try error(HTTPResponse(status: 400, body: Array(body.utf8))))
        #expect(error.type == "invalid_grant" && error.message == "bad (https://x/y)")
        #expect(!error.description.contains("internal detail") && error.remedy.contains("fdrl_"))
    }

    @Test func malformedSuccessNamesWhatAndRequest() throws {
        let response = HTTPResponse(
            status: 200, fields: [HTTPField("request-id", "req_9")], body: Array("{}".utf8))
        let error = try #require(try error(response))
        #expect(error.code == .malformedResponse && error.message == "token exchange response missing access_token")
        #expect(error.requestID == "req_9")
    }

    @Test func nothingIsSentWithoutToken() async throws {
        let transport = ScriptedTransport([])
        let identity = try Sample.identity(token: .value(Secret(String(repeating: "a", count: 16_385))))
        let client = try Sample.client(transport, .workloadIdentity(identity))
        let error = await apiError { () throws(APIError) in try await client.authenticate() }
        #expect(error?.code == .identityToken && error?.hop == .identityToken)
        #expect(error?.message == "identity token exceeds 16384-byte limit (got 16385 bytes)")
        #expect(transport.requests.isEmpty)
    }

    @Test func longestAssertionIsSent() async throws {
        let transport = ScriptedTransport([.granted()])
        let short = Sample.jwt()
        let longest = short + String(repeating: "a", count: 16_384 - short.utf8.count)
        let client = try Sample.client(
            transport, .workloadIdentity(try Sample.identity(token: .value(Secret(longest)))))
        #expect(try await client.authenticate() == .second)
        #expect(transport.requests[0].bodyText?.contains(longest) == true)
    }

    /// Kubernetes replaces the file before the token in it expires.
    @Test func fileIsReadAtEveryAttempt() async throws {
        let file = try TokenFile(Sample.jwt(subject: "first") + "\n")
        let transport = RewritingTransport(file: file, ScriptedTransport([.error(503), .granted()]))
        let client = TunnelsClient(
            service: try Sample.service(),
            credential: .workloadIdentity(try Sample.identity(token: .file(file.path))), transport: transport)
        _ = try await client.authenticate()
        let bodies = transport.script.requests.compactMap(\.bodyText)
        #expect(bodies.count == 2 && bodies[0].contains("\"\(Sample.jwt(subject: "first"))\""))
        #expect(bodies.last?.contains("\"\(Sample.jwt(subject: "second"))\"") == true)
    }
}

/// Replaces the token in the file after each request.
private struct RewritingTransport: HTTPTransport {
    let file: TokenFile
    let script: ScriptedTransport

    init(file: TokenFile, _ script: ScriptedTransport) { (self.file, self.script) = (file, script) }

    func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
        let response = try await script.send(request)
        do { try file.write(Sample.jwt(subject: "second")) } catch { Issue.record(error) }
        return response
    }

    func pause(_ duration: Duration) async { await script.pause(duration) }
}
