import TunnelAPI

/// One request on its way through the checks.
struct FakeCall {
    static let maxBodyBytes = 1 << 20
    static let version = "2023-06-01"
    static let oauthBeta = "oauth-2025-04-20"
    static let federationBeta = "oidc-federation-2026-04-01"

    let request: FakeRequest
    let configuration: FakeConfiguration
    /// Microseconds since 1970-01-01 00:00 UTC.
    let now: Int64
    let requestID: String
    /// Of the token that came with it, once that is known.
    private var workspace = FakeRule.defaultWorkspace

    var nowSeconds: Int64 { now / 1_000_000 }

    init(_ request: FakeRequest, _ configuration: FakeConfiguration, now: Int64, requestID: String) {
        (self.request, self.configuration, self.now, self.requestID) = (request, configuration, now, requestID)
    }

    // MARK: Checks

    /// Who asks, in which generation.
    struct Caller {
        let generation: FakeGeneration
        /// The token's one workspace, `nil` for the default one.
        let workspaceID: String?
        private let memberships: [String]

        init(_ generation: FakeGeneration, _ token: FakeAccessToken) {
            self.generation = generation
            workspaceID = token.workspace == FakeRule.defaultWorkspace ? nil : token.workspace
            memberships = token.memberships
        }

        /// - Throws: 404 or 403 for a tunnel that is out of reach.
        func check(_ tunnel: FakeTunnel) throws(FakeError) {
            switch generation {
            case .second:
                guard tunnel.workspaceID == workspaceID else { throw .notFound }
            case .first:
                guard memberships.contains(tunnel.workspaceID ?? FakeRule.defaultWorkspace) else {
                    throw FakeError(403, "The service account is not a member of the tunnel's workspace")
                }
            }
        }
    }

    /// Version, beta, bearer and scope.
    mutating func authorize(
        _ generation: FakeGeneration, _ tokens: [String: FakeAccessToken]
    ) throws(FakeError) -> Caller {
        let versions = request.values("anthropic-version")
        guard let version = versions.first else { throw .invalid("anthropic-version: header is required") }
        guard versions.count == 1, version == FakeCall.version else {
            throw .invalid("anthropic-version: \"\(version)\" is not a valid version")
        }
        try checkBetas(required: [generation.beta], allowed: [FakeCall.oauthBeta], other: FakeGeneration.allBetas)
        guard configuration.hasPreviewAccess else { throw .unknownBetas([generation.beta]) }
        let token = try bearer(tokens)
        workspace = token.workspace
        guard token.allows(generation) else {
            throw FakeError(403, "OAuth token does not meet scope requirement \(generation.scope)")
        }
        return Caller(generation, token)
    }

    private func bearer(_ tokens: [String: FakeAccessToken]) throws(FakeError) -> FakeAccessToken {
        guard request.values("x-api-key").isEmpty else {
            throw FakeError(401, "API keys are not accepted here; send Authorization: Bearer")
        }
        let values = request.values("authorization")
        guard values.count == 1, let value = values.first, value.prefix(7).lowercased() == "bearer " else {
            throw FakeError(401, "Authorization: Bearer is missing")
        }
        let text = String(value.dropFirst(7))
        if configuration.apiTokens.contains(text), !text.isEmpty {
            return FakeAccessToken(
                value: text, scope: FakeGeneration.second.scope, workspace: FakeRule.defaultWorkspace,
                memberships: [FakeRule.defaultWorkspace], expiresAt: .max)
        }
        guard let token = tokens[text] else { throw FakeError(401, "Invalid bearer token") }
        guard now < token.expiresAt else { throw FakeError(401, "OAuth access token has expired") }
        return token
    }

    /// - Parameter other: betas that exist, but not for this path.
    func checkBetas(required: [String], allowed: [String], other: [String]) throws(FakeError) {
        let betas = request.values("anthropic-beta").flatMap { value in
            value.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmed }
        }
        let known = required + allowed + other
        let unknown = betas.filter { !known.contains($0) }
        guard unknown.isEmpty else { throw .unknownBetas(unknown) }
        for beta in required where !betas.contains(beta) {
            throw .invalid("anthropic-beta: this endpoint requires `\(beta)`")
        }
        for beta in betas where other.contains(beta) && !required.contains(beta) {
            throw .invalid("anthropic-beta: `\(beta)` does not belong to this endpoint")
        }
    }

    /// The members of the body; none for an empty one.
    ///
    /// - Throws: 400 for another content type than JSON, and for what is no JSON object.
    func bodyMembers() throws(FakeError) -> [String: FakeJSON] {
        guard !request.body.isEmpty else { return [:] }
        let types = request.values("content-type")
        let essence = types.first?.prefix { $0 != ";" }.trimmed.lowercased()
        guard types.count == 1, essence == "application/json" else {
            throw .invalid("content-type: must be application/json")
        }
        guard let members = (try? FakeJSON(parsing: request.body))?.members else {
            throw .invalid("The request body is not a JSON object")
        }
        return members
    }

    /// The body's members where only those in `names` may be.
    func bodyMembers(only names: [String]) throws(FakeError) -> [String: FakeJSON] {
        let members = try bodyMembers()
        for name in members.keys.sorted() where !names.contains(name) {
            throw .invalid("\(name): Extra inputs are not permitted")
        }
        return members
    }

    func checkNoBody() throws(FakeError) {
        if request.method == "GET", !request.body.isEmpty { throw .invalid("A GET request must not have a body") }
        _ = try bodyMembers(only: [])
    }

    // MARK: Answers

    func response(_ status: Int, _ body: FakeJSON) -> HTTPResponse {
        HTTPResponse(status: status, fields: fields(type: "application/json"), body: body.bytes)
    }

    func response(_ error: FakeError) -> HTTPResponse {
        response(error.status, error.envelope(requestID: requestID))
    }

    func fields(type: String) -> [HTTPField] {
        [
            HTTPField("content-type", type), HTTPField("request-id", requestID),
            HTTPField("anthropic-organization-id", configuration.organizationID),
            HTTPField("anthropic-workspace-id", workspace),
        ]
    }

    /// For the response to an exchange.
    mutating func setWorkspace(_ workspace: String) { self.workspace = workspace }
}

extension FakeGeneration {
    static var allBetas: [String] { allCases.map(\.beta) + [FakeCall.federationBeta] }
}

extension StringProtocol {
    /// Without white space at either end.
    var trimmed: String {
        let head = drop { $0 == " " || $0 == "\t" }
        guard let last = head.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return "" }
        return String(head[...last])
    }
}
