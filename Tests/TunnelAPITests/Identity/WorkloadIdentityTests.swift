import Testing
import TunnelAPI
import TunnelCore

/// Facts about the variables of Workload Identity Federation: which are needed, which exclude each other, their forms.
@Suite struct WorkloadIdentityTests {
    static let complete = [
        "ANTHROPIC_FEDERATION_RULE_ID": "fdrl_01Abc-x_y", "ANTHROPIC_ORGANIZATION_ID": Sample.organization,
        "ANTHROPIC_IDENTITY_TOKEN_FILE": "/var/run/token",
    ]

    private static func changed(_ changes: [String: String]) -> [String: String] {
        complete.merging(changes) { $1 }
    }

    @Test func readsFileAndNoWorkspace() throws {
        let identity = try WorkloadIdentity(environment: Self.complete)
        #expect(identity.federationRuleID == "fdrl_01Abc-x_y" && identity.organizationID == Sample.organization)
        #expect(identity.workspaceID == nil)
        guard case .file("/var/run/token") = identity.identityToken else {
            Issue.record("not the file")
            return
        }
    }

    @Test(arguments: ["wrkspc_01", "default"]) func readsValueAndWorkspace(_ workspace: String) throws {
        let identity = try WorkloadIdentity(
            environment: Self.changed([
                "ANTHROPIC_IDENTITY_TOKEN_FILE": "", "ANTHROPIC_IDENTITY_TOKEN": "jwt",
                "ANTHROPIC_WORKSPACE_ID": workspace,
            ]))
        #expect(identity.workspaceID == workspace)
        guard case .value(let secret) = identity.identityToken else {
            Issue.record("not the value")
            return
        }
        #expect(secret.reveal() == "jwt")
    }

    /// Compose and Helm pass variables that nobody gave as empty ones.
    @Test func emptyIsUnset() throws {
        let identity = try WorkloadIdentity(
            environment: Self.changed(["ANTHROPIC_WORKSPACE_ID": "", "ANTHROPIC_IDENTITY_TOKEN": ""]))
        #expect(identity.workspaceID == nil)
    }

    @Test(arguments: [
        (["ANTHROPIC_FEDERATION_RULE_ID": ""], "ANTHROPIC_FEDERATION_RULE_ID"),
        (["ANTHROPIC_ORGANIZATION_ID": ""], "ANTHROPIC_ORGANIZATION_ID"),
        (["ANTHROPIC_IDENTITY_TOKEN_FILE": ""], "ANTHROPIC_IDENTITY_TOKEN_FILE"),
    ])
    func namesWhatIsMissing(_ row: (changes: [String: String], name: String)) {
        let error = #expect(throws: CredentialError.self) {
            try WorkloadIdentity(environment: Self.changed(row.changes))
        }
        #expect(error?.code == .missing && error?.variables == [row.name])
        #expect(error?.description.contains(row.name) == true)
    }

    @Test func namesAllThatIsMissing() {
        let error = #expect(throws: CredentialError.self) { try WorkloadIdentity(environment: [:]) }
        #expect(
            error?.description
                == "not set: ANTHROPIC_FEDERATION_RULE_ID, ANTHROPIC_ORGANIZATION_ID, "
                + "ANTHROPIC_IDENTITY_TOKEN_FILE or ANTHROPIC_IDENTITY_TOKEN")
    }

    /// Whoever sets it up hears of everything at once; what alone is thrown comes first.
    @Test func allThatIsWrongIsFound() throws {
        let environment = [
            "ANTHROPIC_FEDERATION_RULE_ID": "rule", "ANTHROPIC_WORKSPACE_ID": "Default",
            "ANTHROPIC_IDENTITY_TOKEN": "t", "ANTHROPIC_IDENTITY_TOKEN_FILE": "/f",
        ]
        let errors = WorkloadIdentity.errors(in: environment)
        #expect(errors.map(\.code) == [.conflict, .missing, .malformed, .malformed])
        #expect(
            errors.flatMap(\.variables) == [
                "ANTHROPIC_IDENTITY_TOKEN_FILE", "ANTHROPIC_IDENTITY_TOKEN", "ANTHROPIC_ORGANIZATION_ID",
                "ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_WORKSPACE_ID",
            ])
        #expect(throws: errors[0]) { try WorkloadIdentity(environment: environment) }
        #expect(WorkloadIdentity.errors(in: Self.changed([:])).isEmpty)
        // A key beside an identity that lacks something: the key counts, if it is one.
        let key = APICredential.errors(in: environment.merging(["API_TOKEN": "no key"]) { $1 })
        #expect(key.map(\.variables) == [["API_TOKEN"]])
        #expect(APICredential.errors(in: Self.changed(["API_TOKEN": "no key"])).map(\.code) == [.conflict, .malformed])
    }

    @Test func bothTokensAreTooMany() {
        let error = #expect(throws: CredentialError.self) {
            try WorkloadIdentity(environment: Self.changed(["ANTHROPIC_IDENTITY_TOKEN": Sample.assertion]))
        }
        #expect(error?.code == .conflict)
        #expect(error?.description.contains("unset one of them") == true)
        #expect(error?.description.contains(Sample.assertion) == false)
    }

    @Test(arguments: [
        ("ANTHROPIC_FEDERATION_RULE_ID", "rule_01"), ("ANTHROPIC_FEDERATION_RULE_ID", "fdrl_"),
        ("ANTHROPIC_FEDERATION_RULE_ID", "fdrl_01\n"), ("ANTHROPIC_FEDERATION_RULE_ID", Sample.assertion),
        ("ANTHROPIC_ORGANIZATION_ID", "org_01"), ("ANTHROPIC_ORGANIZATION_ID", Sample.organization + "0"),
        ("ANTHROPIC_ORGANIZATION_ID", "g0000000-0000-0000-0000-000000000000"),
        ("ANTHROPIC_ORGANIZATION_ID", "00000000000000000000000000000000"),
        ("ANTHROPIC_WORKSPACE_ID", "Default"), ("ANTHROPIC_WORKSPACE_ID", "wrkspc_"),
        ("ANTHROPIC_WORKSPACE_ID", "workspace"),
    ])
    func refusesFormWithoutShowingIt(_ row: (name: String, value: String)) {
        let error = #expect(throws: CredentialError.self) {
            try WorkloadIdentity(environment: Self.changed([row.name: row.value]))
        }
        #expect(error?.code == .malformed && error?.variables == [row.name])
        #expect(error?.description.hasPrefix("\(row.name) must be ") == true)
        #expect(error?.description.contains("white space around it") == row.value.hasSuffix("\n"))
        #expect(
            error?.description.contains(row.value) == false || row.value == "workspace" || row.value == "fdrl_"
                || row.value == "wrkspc_")
    }
}
