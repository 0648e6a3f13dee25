public import TunnelCore

/// What opens the Tunnels API.
@nonexhaustive
public enum APICredential: Sendable {
    /// An identity that is exchanged for an access token, again when that expires or is refused.
    case workloadIdentity(WorkloadIdentity)
    /// A Tunnels API key of claude.ai, sent as it is.
    case token(Secret)

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
        guard isBearerToken(token) else {
            throw .malformed(
                Self.variable, "a token of printable ASCII without spaces, of at most \(maxBearerTokenBytes) bytes")
        }
        self = .token(Secret(token))
    }
}
