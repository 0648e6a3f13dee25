import TunnelAPI
import TunnelCore
import TunnelPKI
import TunnelsAPIFake

/// Sends well-formed requests of one generation, so that a test changes only what it is about.
struct FakeClient {
    let api: FakeTunnelsAPI
    let generation: FakeGeneration
    var token: String

    /// Gets a token by an exchange, as clients do.
    init(_ api: FakeTunnelsAPI, _ generation: FakeGeneration = .second, rule: Int = 0, workspace: String? = nil) throws
    {
        (self.api, self.generation, token) = (api, generation, "")
        var exchange = FakeClient.exchange(api, rule: rule)
        if let workspace { exchange["workspace_id"] = .string(workspace) }
        let answer = FakeClient.send(api, FakeClient.tokenRequest(exchange))
        guard let token = answer.json["access_token"]?.text else { throw Unexpected(answer: answer.text) }
        self.token = token
    }

    struct Unexpected: Error { let answer: String }

    /// When the clocks of the fakes begin, and stop: 2027-01-15T08:00:00.000123Z.
    static let start = UnixTime(seconds: 1_800_000_000, nanoseconds: 123_000)

    /// A fake whose first rule is for that generation.
    static func api(
        _ generation: FakeGeneration = .second, workspaces: [String] = ["default"],
        tunnels: [FakeConfiguration.InitialTunnel] = []
    ) -> FakeTunnelsAPI {
        let rule = FakeRule(scope: generation.scope, workspaces: workspaces)
        return FakeTunnelsAPI(FakeConfiguration(rules: [rule], tunnels: tunnels), clock: { start })
    }

    // MARK: Requests

    static let exchangeFields = [
        HTTPField("Content-Type", "application/json"), HTTPField("User-Agent", "test"),
        HTTPField("anthropic-beta", "oauth-2025-04-20,oidc-federation-2026-04-01"),
    ]

    static func exchange(_ api: FakeTunnelsAPI, rule index: Int = 0) -> [String: FakeJSON] {
        let rule = api.configuration.rules[index]
        return [
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": .string(api.identityToken(for: rule)), "federation_rule_id": .string(rule.id),
            "organization_id": .string(api.configuration.organizationID),
        ]
    }

    static func tokenRequest(_ members: [String: FakeJSON]) -> FakeRequest {
        FakeRequest("POST", "/v1/oauth/token", fields: exchangeFields, body: FakeJSON.object(members).bytes)
    }

    var fields: [HTTPField] {
        [
            HTTPField("Authorization", "Bearer \(token)"), HTTPField("anthropic-version", "2023-06-01"),
            HTTPField("anthropic-beta", "\(generation.beta),oauth-2025-04-20"),
            HTTPField("Content-Type", "application/json"),
        ]
    }

    /// - Parameter path: behind the generation's base path.
    func request(_ method: String, _ path: String, _ body: FakeJSON? = nil) -> FakeRequest {
        FakeRequest(method, generation.basePath + path, fields: fields, body: body?.bytes ?? [])
    }

    func send(_ method: String, _ path: String, _ body: FakeJSON? = nil) -> Answer {
        FakeClient.send(api, request(method, path, body))
    }

    func create(_ name: String? = nil) throws -> String {
        let answer = send("POST", "", ["display_name": name.map(FakeJSON.string) ?? .null])
        guard let id = answer.json["id"]?.text else { throw Unexpected(answer: answer.text) }
        return id
    }

    func add(_ pem: String, to tunnel: String) -> Answer {
        send("POST", "/\(tunnel)/certificates", ["ca_certificate_pem": .string(pem)])
    }

    // MARK: Answers

    struct Answer {
        let status: Int
        let response: HTTPResponse?
        let json: FakeJSON
        var errorType: String? { json["error"]?["type"]?.text }
        var message: String { json["error"]?["message"]?.text ?? "" }
        var text: String { String(decoding: response?.body ?? [], as: UTF8.self) }
        var ids: [String] { json["data"]?.elements?.compactMap { $0["id"]?.text } ?? [] }
    }

    static func send(_ api: FakeTunnelsAPI, _ request: FakeRequest) -> Answer {
        let response = api.answer(request).response
        let json = response.flatMap { try? FakeJSON(parsing: $0.body) } ?? .null
        return Answer(status: response?.status ?? 0, response: response, json: json)
    }
}

extension CertificateAuthority {
    static func fresh(_ api: FakeTunnelsAPI, validity: Duration = defaultValidity) throws -> CertificateAuthority {
        try generate(now: api.now.seconds, validity: validity)
    }

    var pem: String { String(decoding: certificate.pem, as: UTF8.self) }
}

extension FakeRequest {
    /// With a field changed, or taken out.
    func with(_ name: String, _ value: String?) -> FakeRequest {
        var request = self
        request.fields.removeAll { $0.name.lowercased() == name.lowercased() }
        if let value { request.fields.append(HTTPField(name, value)) }
        return request
    }
}
