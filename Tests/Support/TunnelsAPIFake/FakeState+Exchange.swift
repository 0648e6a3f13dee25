extension FakeState {
    static let grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    static let maxAssertionBytes = 16_384
    /// For `exp`, `nbf` and `iat`, in seconds.
    static let leeway = 30.0
    /// The issuer's longest `exp - iat`, in seconds.
    static let maxAssertionLifetime = 3600.0
    static let tokenLifetimes = 60...86_400

    /// What a token request holds, once its form is right.
    private struct TokenRequest {
        let assertion: String
        let ruleID: String
        let organizationID: String
        let serviceAccountID: String?
        let workspace: String?

        /// - Throws: 400. Members that are not known are dropped.
        init(_ members: [String: FakeJSON]) throws(FakeError) {
            guard try TokenRequest.required("grant_type", members) == FakeState.grantType else {
                throw .invalid("grant_type: must be \(FakeState.grantType)")
            }
            assertion = try TokenRequest.required("assertion", members)
            guard assertion.utf8.count <= FakeState.maxAssertionBytes else {
                throw .invalid("assertion: must have at most \(FakeState.maxAssertionBytes) bytes")
            }
            ruleID = try TokenRequest.required("federation_rule_id", members)
            guard FakeState.isPrefixed(ruleID, "fdrl_") else {
                throw .invalid("federation_rule_id: must be a federation rule id (`fdrl_...`)")
            }
            organizationID = try TokenRequest.required("organization_id", members)
            guard FakeState.isUUID(organizationID) else { throw .invalid("organization_id: must be a UUID") }
            serviceAccountID = try TokenRequest.optional("service_account_id", members)
            if let serviceAccountID, !FakeState.isPrefixed(serviceAccountID, "svac_") {
                throw .invalid("service_account_id: must be a service account id (`svac_...`)")
            }
            workspace = try TokenRequest.optional("workspace_id", members)
            if let workspace, workspace != FakeRule.defaultWorkspace, !FakeState.isWorkspaceID(workspace) {
                throw .invalid("workspace_id: must be a workspace id (`wrkspc_...`) or the literal `default`")
            }
        }

        private static func required(_ name: String, _ members: [String: FakeJSON]) throws(FakeError) -> String {
            guard let text = try optional(name, members), !text.isEmpty else {
                throw .invalid("\(name): Field required")
            }
            return text
        }

        private static func optional(_ name: String, _ members: [String: FakeJSON]) throws(FakeError) -> String? {
            switch members[name] {
            case nil, .null: return nil
            case .string(let text): return text
            default: throw .invalid("\(name): Input should be a valid string")
            }
        }
    }

    /// Why an identity token is refused; only the authentication history shows it.
    struct Refusal: Error { let reason: String }

    mutating func exchange(_ call: inout FakeCall) throws(FakeError) -> FakeJSON {
        try FakeQuery(call.request).allow([])
        try call.checkBetas(
            required: [FakeCall.oauthBeta, FakeCall.federationBeta], allowed: [],
            other: FakeGeneration.allCases.map(\.beta))
        guard call.request.values("authorization").isEmpty else {
            throw .invalid("authorization: must not be sent with a token request")
        }
        guard call.request.values("user-agent").contains(where: { !$0.isEmpty }) else {
            throw .invalid("user-agent: header is required")
        }
        guard !call.request.body.isEmpty else { throw .invalid("The request body is not a JSON object") }
        let request = try TokenRequest(try call.bodyMembers())
        let failure = FakeError(401, "Authentication failed")
        guard let rule = call.configuration.rules.first(where: { $0.id == request.ruleID }) else { throw failure }
        do throws(Refusal) {
            let workspace = try FakeState.workspace(request, rule, call.configuration)
            let remaining = try FakeState.check(request.assertion, rule, now: Double(call.now) / 1e6)
            note(FakeAuthentication(ruleID: rule.id, at: call.now, refusal: nil))
            call.setWorkspace(workspace)
            return mint(rule, workspace, remaining, call)
        } catch {
            note(FakeAuthentication(ruleID: rule.id, at: call.now, refusal: error.reason))
            throw failure
        }
    }

    private static func workspace(
        _ request: TokenRequest, _ rule: FakeRule, _ configuration: FakeConfiguration
    ) throws(Refusal) -> String {
        guard request.organizationID.lowercased() == configuration.organizationID.lowercased() else {
            throw Refusal(reason: "organization_mismatch")
        }
        if let account = request.serviceAccountID, account != rule.serviceAccountID {
            throw Refusal(reason: "service_account_mismatch")
        }
        if let workspace = request.workspace {
            guard rule.workspaces.contains(workspace) else { throw Refusal(reason: "workspace_not_covered") }
            return workspace
        }
        guard let workspace = rule.workspaces.first, rule.workspaces.count == 1 else {
            throw Refusal(reason: "workspace_id_required")
        }
        return workspace
    }

    /// - Returns: the seconds that the assertion has left; below zero within the leeway.
    private static func check(_ assertion: String, _ rule: FakeRule, now: Double) throws(Refusal) -> Double {
        let token = try ParsedIdentityToken(assertion)
        guard ParsedIdentityToken.algorithms.contains(token.algorithm) else { throw Refusal(reason: "algorithm") }
        if let issuer = rule.issuer, token.issuer != issuer { throw Refusal(reason: "issuer_mismatch") }
        guard token.expiresAt > now - leeway else { throw Refusal(reason: "expired") }
        guard token.issuedAt <= now + leeway else { throw Refusal(reason: "issued_in_future") }
        guard token.notBefore ?? now <= now + leeway else { throw Refusal(reason: "not_yet_valid") }
        guard token.expiresAt - token.issuedAt <= maxAssertionLifetime else {
            throw Refusal(reason: "lifetime_too_long")
        }
        guard rule.matches(subject: token.subject) else { throw Refusal(reason: "subject_mismatch") }
        guard token.audiences.contains(rule.audience) else { throw Refusal(reason: "audience_mismatch") }
        return token.expiresAt - now
    }

    private mutating func mint(
        _ rule: FakeRule, _ workspace: String, _ remaining: Double, _ call: FakeCall
    ) -> FakeJSON {
        let byRule = min(
            max(rule.tokenLifetime, FakeState.tokenLifetimes.lowerBound), FakeState.tokenLifetimes.upperBound)
        // `remaining` is at most the longest lifetime and the leeway, for the token is not issued in the future.
        let lifetime = max(FakeState.tokenLifetimes.lowerBound, min(byRule, Int(2 * max(0, remaining))))
        let token = FakeAccessToken(
            value: "sk-ant-oat01-" + FakeState.randomText(86), scope: rule.scope, workspace: workspace,
            memberships: rule.workspaces, expiresAt: call.now + Int64(lifetime) * 1_000_000)
        let now = call.now
        world.accessTokens = world.accessTokens.filter { $0.value.expiresAt > now }
        world.accessTokens[token.value] = token
        note(FakeAuditEvent(.accessTokenMinted, at: call.now))
        var answer: [String: FakeJSON] = [
            "access_token": .string(token.value), "token_type": "Bearer", "expires_in": .integer(Int64(lifetime)),
            FakeState.futureField.name: FakeState.futureField.value,
        ]
        if rule.reportsScope { answer["scope"] = .string(rule.scope) }
        return .object(answer)
    }

    mutating func revokeAccessTokens(now: Int64) {
        for _ in world.accessTokens { note(FakeAuditEvent(.accessTokenRevoked, at: now)) }
        world.accessTokens = [:]
    }

    static func isUUID(_ text: String) -> Bool {
        let groups = text.split(separator: "-", omittingEmptySubsequences: false)
        return groups.map(\.utf8.count) == [8, 4, 4, 4, 12]
            && groups.joined().utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0 | 0x20) }
    }
}

extension FakeRule {
    func matches(subject: String) -> Bool {
        self.subject.hasSuffix("*") ? subject.hasPrefix(self.subject.dropLast()) : subject == self.subject
    }

    /// A subject that matches.
    var exactSubject: String { subject.hasSuffix("*") ? subject.dropLast() + "any" : subject }
}
