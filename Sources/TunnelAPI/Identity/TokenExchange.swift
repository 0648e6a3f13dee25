internal import FoundationEssentials
package import TunnelCore

/// The exchange of an identity token for an access token (RFC 7523 §2.1), as the token endpoint of Anthropic's API has
/// it: JSON instead of a form, and both beta flags, of which the second leads to the handler of federation rules.
package struct TokenExchange: Sendable {
    static let target = "/v1/oauth/token"
    static let timeout = Duration.seconds(30)
    static let maxResponseBytes = 1 << 20
    /// The flag that goes with every bearer token from an exchange.
    static let betaFlag = "oauth-2025-04-20"

    let service: ServiceURL
    let identity: WorkloadIdentity

    package init(service: ServiceURL, identity: WorkloadIdentity) {
        (self.service, self.identity) = (service, identity)
    }

    /// The request for `assertion`, which ``IdentityToken`` has checked.
    package func request(_ assertion: Secret, timeout: Duration = Self.timeout) -> HTTPRequest {
        let body = Body(
            grantType: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion: assertion.reveal(),
            federationRuleID: identity.federationRuleID, organizationID: identity.organizationID,
            workspaceID: identity.workspaceID)
        return HTTPRequest(
            "POST", service, Self.target,
            fields: [
                HTTPField("Content-Type", "application/json"), HTTPField("Accept", "application/json"),
                HTTPField("User-Agent", userAgent),
                HTTPField("anthropic-beta", "\(Self.betaFlag),oidc-federation-2026-04-01"),
            ],
            body: jsonBytes(body), timeout: min(timeout, Self.timeout), maxResponseBytes: Self.maxResponseBytes)
    }

    /// What the server derives from the rule is not sent: no service account, no scope.
    private struct Body: Encodable {
        var grantType: String
        var assertion: String
        var federationRuleID: String
        var organizationID: String
        var workspaceID: String?

        enum CodingKeys: String, CodingKey {
            case grantType = "grant_type", assertion, federationRuleID = "federation_rule_id"
            case organizationID = "organization_id", workspaceID = "workspace_id"
        }
    }

    /// Makes the access token of a response, whatever its status.
    ///
    /// - Parameters:
    ///   - operation: what the token is for, for the error.
    ///   - busyFor: how long the server wants to be left alone.
    ///   - now: for what the token says of its times.
    package func accessToken(
        _ response: HTTPResponse, assertion: Secret, for operation: String, busyFor: Duration? = nil, now: UnixTime
    ) throws(APIError) -> AccessToken {
        let redaction = Redaction([assertion])
        guard response.body.count <= Self.maxResponseBytes else {
            throw malformed(
                "the response exceeds \(Self.maxResponseBytes) bytes", response, redaction, operation)
        }
        guard response.status == 200 else {
            let said = ServerMessage(response, redaction)
            throw APIError(
                .exchange, operation, APIError.Code(status: response.status), status: response.status,
                type: said.type, said.message, requestID: said.requestID,
                remedy: busyFor.map(Remedy.busy) ?? remedy(response.status, assertion, now))
        }
        do throws(AccessToken.Failure) { return try AccessToken(response: response.body) } catch {
            throw malformed(error.reason, response, redaction, operation)
        }
    }

    private func malformed(
        _ reason: String, _ response: HTTPResponse, _ redaction: Redaction, _ operation: String
    ) -> APIError {
        APIError(
            .exchange, operation, .malformedResponse, status: response.status, reason,
            requestID: ServerMessage(response, redaction).requestID, remedy: Remedy.wrongServer(service))
    }

    /// The server says "Authentication failed" to every 401 and no more, so what it looks at is laid side by side here:
    /// what the token says of itself, and the field of the rule that it must fit. The other sentences are those of
    /// Anthropic's own clients.
    private func remedy(_ status: Int, _ assertion: Secret, _ now: UnixTime) -> String {
        switch status {
        case 400:
            return "check the ids: the federation rule's begins with fdrl_, the organization's is a UUID, the "
                + "workspace's begins with wrkspc_ or is the word default"
        case 401:
            let workspace =
                "If your federation rule is scoped to multiple workspaces, set the ANTHROPIC_WORKSPACE_ID environment "
                + "variable. "
            let claims = try? IdentityClaims(assertion, named: IdentityToken.name(of: identity.identityToken))
            return "Ensure your federation rule matches your identity token. "
                + (claims.map { "Compare \($0.comparison). " } ?? "")
                + (claims?.defect(now: now).map { "No rule would take it: \($0). " } ?? "")
                + (identity.workspaceID == nil ? workspace : "")
                + "View your authentication events in the Workload identity page of Claude Console for more details."
        case 429, 500...599: return Remedy.tryLater
        default: return Remedy.wrongServer(service)
        }
    }
}

extension TokenExchange {
    /// Exchanges the identity token, which is read anew for every attempt.
    ///
    /// An exchange changes nothing that a second one could spoil, so it is sent again as any other request that may be.
    ///
    /// - Parameter operation: what the token is for, for the error.
    func accessToken(for operation: String, _ delivery: Delivery) async throws(APIError) -> AccessToken {
        var assertion = Secret("")
        let outcome = try await delivery.send(.always) { (timeout) throws(APIError) in
            assertion = try identity.identityToken.assertion(for: operation, now: delivery.now())
            return request(assertion, timeout: timeout)
        }
        switch outcome.last {
        case .failure(let error): throw .transport(error, .exchange, operation, service, Redaction([assertion]))
        case .response(let response):
            return try accessToken(
                response, assertion: assertion, for: operation, busyFor: outcome.busyFor, now: delivery.now())
        }
    }
}

extension IdentityTokenSource {
    /// The identity provider's token, read where it comes from and looked at.
    fileprivate func assertion(for operation: String, now: UnixTime) throws(APIError) -> Secret {
        do throws(IdentityToken.Failure) {
            let assertion = try IdentityToken.read(self)
            let name = IdentityToken.name(of: self)
            try IdentityClaims(assertion, named: name).check(now: now, named: name)
            return assertion
        } catch {
            throw APIError(.identityToken, operation, .identityToken, error.reason, remedy: Remedy.assertion)
        }
    }

    /// Why an exchange would not be tried: the token cannot be read, is none, or has ended.
    package func error(for operation: String, now: UnixTime) -> APIError? {
        do throws(APIError) { _ = try assertion(for: operation, now: now) } catch { return error }
        return nil
    }
}

/// What the token endpoint answered with (RFC 6749 §5.1).
package struct AccessToken: Sendable {
    /// A longer life is not believed; no rule grants more than a day.
    private static let maxLifetime = 10.0 * 365 * 86_400

    package let value: Secret
    /// The scopes granted, in the order of the response; empty if it names none.
    package let scopes: [String]
    /// Seconds from the response on; `nil` if it does not say.
    package let lifetime: Int64?

    /// Which part of a response is not as it should be. Never a value.
    package struct Failure: Error, Equatable { package let reason: String }

    /// - Parameter body: of a response with status 200.
    package init(response body: [UInt8]) throws(Failure) {
        guard let fields = try? JSONDecoder().decode(Fields.self, from: Data(body)) else {
            throw Failure(reason: "token exchange response is not a JSON object")
        }
        if let type = fields.tokenType {
            guard case .text(let name) = type, name.lowercased() == "bearer" else {
                throw Failure(reason: "token exchange response: unsupported token_type (want Bearer)")
            }
        }
        guard case .text(let token)? = fields.accessToken, !token.isEmpty else {
            throw Failure(reason: "token exchange response missing access_token")
        }
        guard isBearerToken(token) else {
            throw Failure(reason: "token exchange response: access_token cannot stand in a header")
        }
        value = Secret(token)
        if case .text(let scope)? = fields.scope {
            scopes = scope.split(separator: " ").map(String.init)
        } else {
            scopes = []
        }
        if case .number(let seconds)? = fields.expiresIn {
            lifetime = Int64(min(max(seconds, 0), Self.maxLifetime))
        } else {
            lifetime = nil
        }
    }

    private struct Fields: Decodable {
        var accessToken: Value?
        var tokenType: Value?
        var expiresIn: Value?
        var scope: Value?

        enum CodingKeys: String, CodingKey {
            case accessToken = "access_token", tokenType = "token_type", expiresIn = "expires_in", scope
        }
    }

    /// A member of any kind, so that one which is not needed cannot make the response unreadable.
    private enum Value: Decodable {
        case text(String), number(Double), other

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let text = try? value.decode(String.self) {
                self = .text(text)
            } else if let number = try? value.decode(Double.self), number.isFinite {
                self = .number(number)
            } else {
                self = .other
            }
        }
    }
}
