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
        if let error = Self.errors(in: environment).first { throw error }
        let token = trimmedToken(environment[Self.variable] ?? "")
        guard !token.isEmpty else {
            self = .workloadIdentity(try WorkloadIdentity(environment: environment))
            return
        }
        self = .token(Secret(token))
    }

    /// All that is wrong with the variables; the first is what ``init(environment:)`` throws.
    package static func errors(in environment: [String: String]) -> [CredentialError] {
        let token = trimmedToken(environment[Self.variable] ?? "")
        guard !token.isEmpty else {
            return WorkloadIdentity.errors(in: environment).map { error in
                guard error.code == .missing else { return error }
                return CredentialError(
                    .missing, error.variables, "\(error.reason) (or set \(Self.variable) to a Tunnels API key)")
            }
        }
        var errors: [CredentialError] = []
        if WorkloadIdentity.isComplete(in: environment) {
            errors.append(
                CredentialError(
                    .conflict, [Self.variable, WorkloadIdentity.Variable.federationRule],
                    "\(Self.variable) and the variables of Workload Identity Federation (ANTHROPIC_FEDERATION_RULE_ID and "
                        + "others) are both set; unset \(Self.variable) or those"))
        }
        if !isBearerToken(token) {
            errors.append(
                .malformed(
                    Self.variable, "a token of printable ASCII without spaces, of at most \(maxBearerTokenBytes) bytes",
                    token)
            )
        }
        return errors
    }
}
