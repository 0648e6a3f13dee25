public import TunnelCore

/// Where the identity provider's token comes from.
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
        guard Self.isTagged(federationRuleID, "fdrl_") else {
            throw .malformed(Variable.federationRule, "a federation rule's id, fdrl_ and letters and digits")
        }
        guard Self.isUUID(organizationID) else {
            throw .malformed(
                Variable.organization, "the organization's UUID, like 00000000-0000-0000-0000-000000000000")
        }
        if let workspaceID, workspaceID != "default", !Self.isTagged(workspaceID, "wrkspc_") {
            throw .malformed(
                Variable.workspace, "a workspace's id, wrkspc_ and letters and digits, or the word default")
        }
        (self.federationRuleID, self.organizationID) = (federationRuleID, organizationID)
        (self.workspaceID, self.identityToken) = (workspaceID, identityToken)
    }

    /// Reads `ANTHROPIC_FEDERATION_RULE_ID`, `ANTHROPIC_ORGANIZATION_ID`, `ANTHROPIC_WORKSPACE_ID` (optional) and
    /// exactly one of `ANTHROPIC_IDENTITY_TOKEN_FILE` and `ANTHROPIC_IDENTITY_TOKEN`. An empty value counts as not set,
    /// because Compose and Helm set variables that nobody gave.
    public init(environment: [String: String]) throws(CredentialError) {
        let value = { (name: String) in environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let (file, token) = (value(Variable.tokenFile), value(Variable.token))
        let rule = value(Variable.federationRule), organization = value(Variable.organization)
        var missing: [String] = []
        if rule == nil { missing.append(Variable.federationRule) }
        if organization == nil { missing.append(Variable.organization) }
        let source: IdentityTokenSource
        switch (file, token) {
        case (_?, _?):
            throw CredentialError(
                .conflict, [Variable.tokenFile, Variable.token],
                "\(Variable.tokenFile) and \(Variable.token) are both set; unset one of them")
        case (let file?, nil): source = .file(file)
        case (nil, let token?): source = .value(Secret(token))
        case (nil, nil):
            missing.append(Variable.tokenFile)
            source = .file("")
        }
        guard let rule, let organization, missing.isEmpty else { throw .missing(missing) }
        try self.init(
            federationRuleID: rule, organizationID: organization, workspaceID: value(Variable.workspace),
            identityToken: source)
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

extension CredentialError {
    static func malformed(_ variable: String, _ expected: String) -> Self {
        Self(.malformed, [variable], "\(variable) must be \(expected)")
    }

    static func missing(_ variables: [String]) -> Self {
        let names = variables.map { name in
            name == WorkloadIdentity.Variable.tokenFile ? "\(name) or \(WorkloadIdentity.Variable.token)" : name
        }
        return Self(.missing, variables, "not set: \(names.joined(separator: ", "))")
    }
}
