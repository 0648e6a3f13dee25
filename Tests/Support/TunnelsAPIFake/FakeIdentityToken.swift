import FoundationEssentials

/// A JSON Web Token (RFC 7519) that an identity provider might have issued. Its form is right, its signature is junk,
/// which the fake does not look at.
public struct FakeIdentityToken: Sendable {
    public var header: [String: FakeJSON]
    public var claims: [String: FakeJSON]

    /// - Parameters:
    ///   - issuedAt: in seconds since 1970-01-01 00:00 UTC.
    ///   - lifetime: in seconds.
    public init(subject: String, audience: String, issuer: String? = nil, issuedAt: Int64, lifetime: Int = 600) {
        header = ["alg": "RS256", "kid": "fake-key", "typ": "JWT"]
        claims = [
            "sub": .string(subject), "aud": [.string(audience)], "iat": .integer(issuedAt),
            "exp": .integer(issuedAt + Int64(lifetime)), "iss": .string(issuer ?? "https://issuer.example"),
        ]
    }

    /// Three parts of base64url (RFC 7515 §3.1).
    public var text: String {
        let signature = (0..<256).map { UInt8(truncatingIfNeeded: $0 * 7 + 3) }
        return [FakeJSON.object(header).bytes, FakeJSON.object(claims).bytes, signature]
            .map(FakeIdentityToken.base64URL).joined(separator: ".")
    }

    private static func base64URL(_ bytes: [UInt8]) -> String {
        String(
            Data(bytes).base64EncodedString().compactMap { character -> Character? in
                switch character {
                case "+": "-"
                case "/": "_"
                case "=": nil
                default: character
                }
            })
    }
}

/// An identity token as the endpoint reads it: its form, its algorithm and its claims, not its signature.
struct ParsedIdentityToken {
    static let algorithms = ["RS", "PS", "ES"].flatMap { family in ["256", "384", "512"].map { family + $0 } }

    let algorithm: String
    let issuer: String?
    let subject: String
    let audiences: [String]
    /// Seconds since 1970-01-01 00:00 UTC, as the other times.
    let issuedAt: Double
    let expiresAt: Double
    let notBefore: Double?

    init(_ text: String) throws(FakeState.Refusal) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let signature = ParsedIdentityToken.decode(parts[2]), !signature.isEmpty,
            let header = ParsedIdentityToken.object(parts[0]), let claims = ParsedIdentityToken.object(parts[1])
        else { throw FakeState.Refusal(reason: "malformed_token") }
        guard let algorithm = header["alg"]?.text else { throw FakeState.Refusal(reason: "no_alg") }
        guard header["kid"]?.text?.isEmpty == false else { throw FakeState.Refusal(reason: "no_kid") }
        guard let subject = claims["sub"]?.text, !subject.isEmpty else { throw FakeState.Refusal(reason: "no_sub") }
        guard let issuedAt = claims["iat"]?.double else { throw FakeState.Refusal(reason: "no_iat") }
        guard let expiresAt = claims["exp"]?.double else { throw FakeState.Refusal(reason: "no_exp") }
        if let claim = claims["nbf"], claim.double == nil { throw FakeState.Refusal(reason: "malformed_nbf") }
        (self.algorithm, self.subject, self.issuer) = (algorithm, subject, claims["iss"]?.text)
        (self.issuedAt, self.expiresAt, notBefore) = (issuedAt, expiresAt, claims["nbf"]?.double)
        audiences = claims["aud"]?.elements?.compactMap(\.text) ?? claims["aud"]?.text.map { [$0] } ?? []
    }

    private static func object(_ part: Substring) -> [String: FakeJSON]? {
        decode(part).flatMap { (try? FakeJSON(parsing: $0))?.members }
    }

    /// Base64url without padding (RFC 7515 §2).
    private static func decode(_ part: Substring) -> [UInt8]? {
        guard part.utf8.allSatisfy({ FakeEndpoint.isLetterOrDigit($0) || $0 == 0x2D || $0 == 0x5F }) else { return nil }
        var text = String(part.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
        while text.utf8.count % 4 != 0 { text += "=" }
        return Data(base64Encoded: text).map { [UInt8]($0) }
    }
}
