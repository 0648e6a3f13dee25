public import TunnelCore

/// What opens the Tunnels API.
public enum APICredential: Sendable {
    /// An identity that is exchanged for an access token, again when that expires or is refused.
    case workloadIdentity(WorkloadIdentity)
    /// A Tunnels API key of claude.ai, sent as it is.
    case token(Secret)

    /// Longer than any token, and still a header that servers take.
    static let maxTokenBytes = 16 * 1024

    /// The environment variable of ``token(_:)``.
    static let variable = "API_TOKEN"

    /// Reads `API_TOKEN`, or the variables of ``WorkloadIdentity/init(environment:)``. An empty value counts as not
    /// set; white space around the token is removed. Beside a token, variables of an identity that lacks one are passed
    /// over.
    ///
    /// - Throws: ``CredentialError`` when neither is there, when both are complete, so that nobody can say which was
    ///   meant, or when a value has not the form it should have.
    public init(environment: [String: String]) throws(CredentialError) {
        let token = trimmedToken(environment[Self.variable] ?? "")
        guard !token.isEmpty else {
            do throws(CredentialError) {
                self = .workloadIdentity(try WorkloadIdentity(environment: environment))
            } catch {
                guard error.code == .missing else { throw error }
                throw CredentialError(
                    .missing, error.variables, "\(error.reason) (or set \(Self.variable) to a Tunnels API key)")
            }
            return
        }
        guard !WorkloadIdentity.isComplete(in: environment) else {
            throw CredentialError(
                .conflict, [Self.variable, WorkloadIdentity.Variable.federationRule],
                "\(Self.variable) and the variables of Workload Identity Federation (ANTHROPIC_FEDERATION_RULE_ID and "
                    + "others) are both set; unset \(Self.variable) or those")
        }
        guard Self.isBearerToken(token) else {
            throw .malformed(
                Self.variable, "a token of printable ASCII without spaces, of at most \(Self.maxTokenBytes) bytes")
        }
        self = .token(Secret(token))
    }

    /// Whether it can stand in a field `Authorization: Bearer …` (RFC 9110 §5.5, and no spaces).
    static func isBearerToken(_ text: String) -> Bool {
        (1...maxTokenBytes).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }
}

/// A token without the white space that files and shells put around it.
func trimmedToken(_ text: String) -> String {
    let scalars = text.unicodeScalars.drop { $0.properties.isWhitespace }
    guard let last = scalars.lastIndex(where: { !$0.properties.isWhitespace }) else { return "" }
    return String(scalars[...last])
}
