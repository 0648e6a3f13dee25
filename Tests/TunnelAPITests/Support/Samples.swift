import FoundationEssentials
import TunnelCore

@testable import TunnelAPI

/// Secrets, answers and clients that the tests share. Objects are those of the API's reference.
enum Sample {
    static let assertion = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLW9mLXRoZS1qd3Q"
    static let accessToken = "sk-ant-oat01-first-access-token"
    static let secondToken = "sk-ant-oat01-other-access-token"
    static let apiKey = "tunnels-key-0123456789-abcdefghij"
    static let tunnelToken = "eyJhIjoiRVhBTVBMRSIsInQiOiJFWEFNUExFIiwicyI6IkVYQU1QTEUifQ=="
    static let organization = "00000000-0000-0000-0000-000000000000"
    static let secrets = [assertion, accessToken, secondToken, apiKey, tunnelToken]

    /// A moment in January 2027, which the other times are about.
    static let now: Int64 = 1_800_000_000

    /// A signed JWT as far as anybody here can see. `claims` and `header` are JSON and take the place of the usual.
    static func jwt(
        subject: String = "system:serviceaccount:mcp:setup", header: String = #"{"alg":"RS256","kid":"k1"}"#,
        claims: String? = nil
    ) -> String {
        let usual = """
            {"iss":"https://issuer.example","sub":"\(subject)","aud":["api.anthropic.com"],"iat":\(now),"exp":\(now + 600)}
            """
        return [header, claims ?? usual].map(base64URL).joined(separator: ".") + ".c2lnbmF0dXJlLW9mLXRoZS1qd3Q"
    }

    static func base64URL(_ text: String) -> String {
        Data(text.utf8).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing(
            "=", with: "")
    }

    static let tunnelID = "tnl_01Hx9Kp2RtQvMn3sWbYdLcF8"
    static let certificateID = "tcrt_01JmWq4ZxnBvR7tKpY2sLdH9"
    static let fingerprint = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    static let tunnel = """
        {"id":"\(tunnelID)","type":"tunnel","display_name":"Production",
         "domain":"a1b2c3d4.tunnel.anthropic.com","created_at":"2026-07-01T12:00:00.000Z","archived_at":null}
        """
    static let token = """
        {"id":"ttkn_bb97000eaec162831399ca9b6684a4fdf5be49ace5683057b017aab5c87e19e0",
         "tunnel_token":"\(tunnelToken)","type":"tunnel_token"}
        """
    static let certificate = """
        {"id":"\(certificateID)","tunnel_id":"\(tunnelID)","fingerprint":"\(fingerprint)",
         "created_at":"2024-10-30T23:58:27.427722Z","expires_at":"2029-10-30T23:58:27.427722Z",
         "archived_at":null,"type":"tunnel_certificate"}
        """
    static let pem = Array("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".utf8)

    static func identity(
        workspace: String? = nil, token: IdentityTokenSource = .value(Secret(assertion))
    ) throws -> WorkloadIdentity {
        try WorkloadIdentity(
            federationRuleID: "fdrl_01", organizationID: organization, workspaceID: workspace, identityToken: token)
    }

    static func service() throws -> ServiceURL { try ServiceURL("https://api.anthropic.com") }

    /// With the transport's clock.
    static func client(
        _ transport: ScriptedTransport, _ credential: APICredential? = nil, generation: APIGeneration? = nil
    ) throws -> TunnelsClient {
        TunnelsClient(
            service: try service(), credential: try credential ?? .workloadIdentity(identity()),
            generation: generation, transport: transport, now: { transport.now })
    }

    static func client(_ steps: [ScriptedTransport.Step]) throws -> (TunnelsClient, ScriptedTransport) {
        let transport = ScriptedTransport(steps)
        return (try client(transport), transport)
    }
}

extension ScriptedTransport.Step {
    static func ok(_ body: String) -> Self { .response(HTTPResponse(status: 200, body: Array(body.utf8))) }

    static func status(_ status: Int, _ body: String = "", _ fields: [String: String] = [:]) -> Self {
        .response(
            HTTPResponse(
                status: status, fields: fields.map { HTTPField($0.key, $0.value) }, body: Array(body.utf8)))
    }

    /// The API's envelope of an error.
    static func error(
        _ status: Int, _ type: String = "api_error", _ message: String = "no", _ fields: [String: String] = [:]
    ) -> Self {
        let body = #"{"type":"error","error":{"type":"\#(type)","message":"\#(message)"},"request_id":"req_body"}"#
        return .status(status, body, fields)
    }

    /// The exchange's success; `scope` in JSON.
    static func granted(
        _ scope: String? = "workspace:manage_tunnels", token: String = Sample.accessToken, expiresIn: Int? = 3600
    ) -> Self {
        var members = [#""access_token":"\#(token)""#, #""token_type":"Bearer""#]
        if let expiresIn { members.append(#""expires_in":\#(expiresIn)"#) }
        if let scope { members.append(#""scope":"\#(scope)""#) }
        return .ok("{\(members.joined(separator: ","))}")
    }

    /// Nobody knows whether it was received.
    static let lost = Self.fail(TransportError(.closed, "the connection ended", mayHaveBeenReceived: true))
    /// It was certainly not received.
    static let unreachable = Self.fail(TransportError(.connect, "connection refused"))
}

/// The error that `body` throws; `nil` if it throws none.
func apiError<Answer: Sendable>(_ body: () async throws(APIError) -> Answer) async -> APIError? {
    do throws(APIError) {
        _ = try await body()
        return nil
    } catch { return error }
}
