public import TunnelCore
internal import TunnelIO

/// Where the identity provider's token comes from.
@nonexhaustive
public enum IdentityTokenSource: Sendable {
    /// A file, read again at every exchange, because whoever writes it replaces it before it expires.
    case file(String)
    case value(Secret)
}

/// Who we are by Workload Identity Federation: what is exchanged for an access token, and under which rule.
public struct WorkloadIdentity: Sendable {
    /// `fdrl_…`
    public let federationRuleID: String
    /// A UUID.
    public let organizationID: String
    /// `wrkspc_…` or the word `default`; `nil` if the rule has one workspace only, which is then used.
    public let workspaceID: String?
    public let identityToken: IdentityTokenSource

    /// - Throws: ``CredentialError`` that names the variable of the environment which such a value comes from, when an
    ///   identifier has not the form above.
    public init(
        federationRuleID: String, organizationID: String, workspaceID: String? = nil,
        identityToken: IdentityTokenSource
    ) throws(CredentialError) {
        if let error = Self.malformed(federationRuleID, organizationID, workspaceID).first { throw error }
        (self.federationRuleID, self.organizationID) = (federationRuleID, organizationID)
        (self.workspaceID, self.identityToken) = (workspaceID, identityToken)
    }

    /// Reads `ANTHROPIC_FEDERATION_RULE_ID`, `ANTHROPIC_ORGANIZATION_ID`, `ANTHROPIC_WORKSPACE_ID` (optional) and
    /// exactly one of `ANTHROPIC_IDENTITY_TOKEN_FILE` and `ANTHROPIC_IDENTITY_TOKEN`. An empty value counts as not set,
    /// because Compose and Helm set variables that nobody gave.
    public init(environment: [String: String]) throws(CredentialError) {
        if let error = Self.errors(in: environment).first { throw error }
        let value = { (name: String) in environment[name] ?? "" }
        let (file, workspace) = (value(Variable.tokenFile), value(Variable.workspace))
        try self.init(
            federationRuleID: value(Variable.federationRule), organizationID: value(Variable.organization),
            workspaceID: workspace.isEmpty ? nil : workspace,
            identityToken: file.isEmpty ? .value(Secret(value(Variable.token))) : .file(file))
    }

    /// All that is wrong with the variables, the first being what ``init(environment:)`` throws.
    package static func errors(in environment: [String: String]) -> [CredentialError] {
        let value = { (name: String) in environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let (file, token) = (value(Variable.tokenFile), value(Variable.token))
        var errors: [CredentialError] = []
        if file != nil, token != nil {
            errors.append(
                CredentialError(
                    .conflict, [Variable.tokenFile, Variable.token],
                    "\(Variable.tokenFile) and \(Variable.token) are both set; unset one of them"))
        }
        var missing = [Variable.federationRule, Variable.organization].filter { value($0) == nil }
        if file == nil, token == nil { missing.append(Variable.tokenFile) }
        if !missing.isEmpty { errors.append(.missing(missing)) }
        return errors
            + malformed(value(Variable.federationRule), value(Variable.organization), value(Variable.workspace))
    }

    /// Where the token would come from, whatever else is wrong; `nil` where nothing says so, or two variables do.
    package static func tokenSource(in environment: [String: String]) -> IdentityTokenSource? {
        let (file, token) = (environment[Variable.tokenFile] ?? "", environment[Variable.token] ?? "")
        guard file.isEmpty != token.isEmpty else { return nil }
        return file.isEmpty ? .value(Secret(token)) : .file(file)
    }

    /// What has not the form that it should have, of that which is there.
    private static func malformed(_ rule: String?, _ organization: String?, _ workspace: String?) -> [CredentialError] {
        var errors: [CredentialError] = []
        if let rule, !isTagged(rule, "fdrl_") {
            errors.append(
                .malformed(Variable.federationRule, "a federation rule's id, fdrl_ and letters and digits", rule))
        }
        if let organization, !isUUID(organization) {
            errors.append(
                .malformed(
                    Variable.organization, "the organization's UUID, like 00000000-0000-0000-0000-000000000000",
                    organization))
        }
        if let workspace, workspace != "default", !isTagged(workspace, "wrkspc_") {
            errors.append(
                .malformed(
                    Variable.workspace, "a workspace's id, wrkspc_ and letters and digits, or the word default",
                    workspace))
        }
        return errors
    }

    /// The names of §5.3 of the reference of Workload Identity Federation.
    enum Variable {
        static let federationRule = "ANTHROPIC_FEDERATION_RULE_ID"
        static let organization = "ANTHROPIC_ORGANIZATION_ID"
        static let workspace = "ANTHROPIC_WORKSPACE_ID"
        static let tokenFile = "ANTHROPIC_IDENTITY_TOKEN_FILE"
        static let token = "ANTHROPIC_IDENTITY_TOKEN"
    }

    /// Whether all is set that an exchange needs, whatever it is worth.
    static func isComplete(in environment: [String: String]) -> Bool {
        let isSet = { (name: String) in environment[name].map { !$0.isEmpty } ?? false }
        return isSet(Variable.federationRule) && isSet(Variable.organization)
            && (isSet(Variable.tokenFile) || isSet(Variable.token))
    }

    private static func isTagged(_ text: String, _ tag: String) -> Bool {
        text.hasPrefix(tag) && ResourceID.isValid(String(text.dropFirst(tag.count)))
    }

    /// 8-4-4-4-12 hexadecimal digits (RFC 9562 §4), of any version.
    private static func isUUID(_ text: String) -> Bool {
        let groups = text.split(separator: "-", omittingEmptySubsequences: false)
        return groups.map(\.utf8.count) == [8, 4, 4, 4, 12]
            && groups.allSatisfy { $0.utf8.allSatisfy { Character(Unicode.Scalar($0)).isHexDigit } }
    }
}

/// What is wrong with the environment variables that say who we are. It names variables, never their values.
public struct CredentialError: Error, Sendable, Equatable, CustomStringConvertible {
    /// More codes may come in later versions.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }

        /// A variable that is needed is not set, or empty.
        public static let missing = Code(rawValue: "missing")
        /// Two variables are set that exclude each other.
        public static let conflict = Code(rawValue: "conflict")
        /// A value is not of the form it should have.
        public static let malformed = Code(rawValue: "malformed")
    }

    public let code: Code
    /// The variables it is about, for example `ANTHROPIC_FEDERATION_RULE_ID`.
    public let variables: [String]
    /// In words, with the names of the variables and what is expected.
    public let reason: String

    init(_ code: Code, _ variables: [String], _ reason: String) {
        (self.code, self.variables, self.reason) = (code, variables, reason)
    }

    public var description: String { reason }

    /// Equal when code and variables are.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code && a.variables == b.variables }

    /// - Parameter value: looked at for white space around it, which nobody sees.
    static func malformed(_ variable: String, _ expected: String, _ value: String) -> Self {
        let isPadded = value.first?.isWhitespace == true || value.last?.isWhitespace == true
        let hint = isPadded ? ", and has white space around it, perhaps a line end: remove that" : ""
        return Self(.malformed, [variable], "\(variable) must be \(expected)\(hint)")
    }

    static func missing(_ variables: [String]) -> Self {
        let names = variables.map { name in
            name == WorkloadIdentity.Variable.tokenFile ? "\(name) or \(WorkloadIdentity.Variable.token)" : name
        }
        return Self(.missing, variables, "not set: \(names.joined(separator: ", "))")
    }
}

/// The identity provider's token, read where it comes from.
package enum IdentityToken {
    /// The token endpoint's limit. What is longer is hardly a JWT but a key or a certificate, which must not be sent.
    package static let maxBytes = 16_384
    /// What is read of a file at most. Only ``maxBytes`` and white space around them can be of use.
    static let maxFileBytes = 64 * 1024

    /// What is wrong with the token, in words that name the file and never its content.
    package struct Failure: Error, Equatable {
        package let reason: String
    }

    /// What the token is called in a message.
    static func name(of source: IdentityTokenSource) -> String {
        switch source {
        case .value: "identity token value"
        case .file(let path): "identity token file \(quoted(path))"
        }
    }

    /// Blocks while a file is read.
    package static func read(_ source: IdentityTokenSource) throws(Failure) -> Secret {
        let text: String
        let whose = name(of: source)
        switch source {
        case .value(let secret): text = secret.reveal()
        case .file(let path):
            guard !path.isEmpty else { throw Failure(reason: "identity token file path is empty") }
            guard let content = String(validating: try bytes(of: path), as: UTF8.self) else {
                throw Failure(reason: "\(whose) is not text; a JWT is expected")
            }
            text = content
        }
        let token = trimmedToken(text)
        guard !token.isEmpty else { throw Failure(reason: "\(whose) is empty") }
        let count = token.utf8.count
        guard count <= maxBytes else {
            throw Failure(reason: "identity token exceeds \(maxBytes)-byte limit (got \(count) bytes)")
        }
        return Secret(token)
    }

    /// Redacted, because the variable for the path is where the token itself is put by mistake.
    private static func quoted(_ path: String) -> String { "\"\(Redaction([])(path))\"" }

    private static func bytes(of path: String) throws(Failure) -> [UInt8] {
        do throws(FileError) { return try FileBytes.read(path, limit: maxFileBytes) } catch {
            throw Failure(reason: "failed to read identity token file \(quoted(path)): \(error.cause)")
        }
    }
}
