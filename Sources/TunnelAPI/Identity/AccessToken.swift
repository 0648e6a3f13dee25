internal import FoundationEssentials
package import TunnelCore

/// What the token endpoint answered with (RFC 6749 §5.1).
package struct AccessToken: Sendable {
    /// A longer life is not believed; no rule grants more than a day.
    private static let maxLifetime = 10.0 * 365 * 86_400

    package let value: Secret
    /// The scopes granted, in the order of the answer; empty if it names none.
    package let scopes: [String]
    /// Seconds from the answer on; `nil` if it does not say.
    package let lifetime: Int64?

    /// Which part of an answer is not as it should be. Never a value.
    package struct Failure: Error, Equatable { package let reason: String }

    /// - Parameter body: of an answer with status 200.
    package init(answer body: [UInt8]) throws(Failure) {
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
        guard APICredential.isBearerToken(token) else {
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

    /// A member of any kind, so that one which is not needed cannot make the answer unreadable.
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
