internal import FoundationEssentials
internal import TunnelCore

/// What an identity token says of itself (RFC 7519 §4), so that a token which cannot be taken is noticed here, and one that
/// was refused can be compared with the federation rule. Nothing is verified, and neither the token nor its signature is kept.
struct IdentityClaims: Equatable {
    /// What the API allows clocks to differ by.
    static let leewaySeconds: Int64 = 30
    private static let maxShown = 200

    let issuer: String?
    let subject: String?
    let audiences: [String]
    /// Seconds since 1970-01-01 00:00 UTC.
    let expiresAt: Int64?
    let issuedAt: Int64?
    let algorithm: String?
    let keyID: String?

    /// - Parameter name: what the token is called in the error, for example `identity token value`.
    /// - Throws: for what is no signed JWT in compact form (RFC 7519 §3), with no part of it in the text.
    init(_ token: Secret, named name: String) throws(IdentityToken.Failure) {
        let parts = token.reveal().split(separator: ".", omittingEmptySubsequences: false)
        func refusal(_ why: String) -> IdentityToken.Failure {
            IdentityToken.Failure(reason: "\(name) is not a JWT: \(why)")
        }
        guard parts.count == 3 else {
            throw refusal("it has \(parts.count) part\(parts.count == 1 ? "" : "s") with dots between them, not three")
        }
        guard let header = Self.decode(Header.self, parts[0]) else {
            throw refusal("its first part is not a JSON object in base64url")
        }
        guard let claims = Self.decode(Claims.self, parts[1]) else {
            throw refusal("its second part, the claims, is not a JSON object in base64url")
        }
        guard !parts[2].isEmpty, Self.bytes(parts[2]) != nil else { throw refusal("it has no signature in base64url") }
        (issuer, subject) = (claims.iss?.text, claims.sub?.text)
        audiences = claims.aud?.texts ?? []
        (expiresAt, issuedAt) = (claims.exp?.seconds, claims.iat?.seconds)
        (algorithm, keyID) = (header.alg?.text, header.kid?.text)
    }

    /// - Throws: when the token has ended, so that the API would refuse it.
    func check(now: UnixTime, named name: String) throws(IdentityToken.Failure) {
        guard let expiresAt else { return }
        let (latest, isOverflow) = expiresAt.addingReportingOverflow(Self.leewaySeconds)
        guard !isOverflow, now.seconds > latest else { return }
        throw IdentityToken.Failure(
            reason: "\(name) has ended at \(UnixTime(seconds: expiresAt).toTheSecond), and it is \(now.toTheSecond) now"
        )
    }

    // MARK: In words

    /// What to hold against the federation rule, field by field.
    var comparison: String {
        let list = audiences.map(Self.quoted).joined(separator: ", ")
        let audience = audiences.isEmpty ? Self.quoted(nil) : audiences.count == 1 ? list : "[\(list)]"
        let end = expiresAt.map { UnixTime(seconds: $0).toTheSecond } ?? "absent, and required"
        return "its iss \(Self.quoted(issuer)) with the URL of the rule's issuer, byte for byte; "
            + "its sub \(Self.quoted(subject)) with subject_prefix, in which case counts and only a final * stands for "
            + "more; its aud \(audience) with audience, byte for byte; its exp is \(end)"
    }

    /// What the API refuses whatever the rule says; `nil` if there is nothing of that.
    func defect(now: UnixTime) -> String? {
        var defects: [String] = []
        if !["RS", "PS", "ES"].contains(algorithm.map { String($0.prefix(2)) }) {
            defects.append("its alg \(Self.quoted(algorithm)) is none of RS, PS and ES with 256, 384 or 512")
        }
        if keyID == nil { defects.append("it has no kid") }
        if subject == nil { defects.append("it has no sub") }
        if issuedAt.map({ $0 > now.adding(seconds: Self.leewaySeconds).seconds }) ?? false {
            defects.append("its iat lies in the future of this machine's clock")
        }
        return defects.isEmpty ? nil : defects.joined(separator: ", ")
    }

    private static func quoted(_ text: String?) -> String {
        text.map { "\"\(Diagnostic.excerpt($0, limit: maxShown))\"" } ?? "(absent)"
    }

    // MARK: Decoding

    private struct Header: Decodable {
        var alg: Claim?
        var kid: Claim?
    }

    private struct Claims: Decodable {
        var iss: Claim?
        var sub: Claim?
        var aud: Claim?
        var exp: Claim?
        var iat: Claim?
    }

    /// Of any kind, so that a claim which is not needed cannot make the others unreadable.
    private enum Claim: Decodable {
        case text(String), texts([String]), number(Double), other

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let text = try? value.decode(String.self) {
                self = .text(text)
            } else if let number = try? value.decode(Double.self), number.isFinite {
                self = .number(number)
            } else if let texts = try? value.decode([String].self) {
                self = .texts(texts)
            } else {
                self = .other
            }
        }

        var text: String? { if case .text(let text) = self { text } else { nil } }
        var texts: [String] {
            switch self {
            case .text(let text): [text]
            case .texts(let texts): texts
            default: []
            }
        }
        /// Within the years that can be written.
        var seconds: Int64? {
            if case .number(let number) = self, (0..<253_402_300_800).contains(number) { Int64(number) } else { nil }
        }
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, _ part: Substring) -> Value? {
        bytes(part).flatMap { try? JSONDecoder().decode(type, from: $0) }
    }

    /// base64url without padding (RFC 7515 §2).
    private static func bytes(_ part: Substring) -> Data? {
        guard part.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "=") })
        else { return nil }
        let text = part.replacing("-", with: "+").replacing("_", with: "/")
        return Data(base64Encoded: text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4))
    }
}
