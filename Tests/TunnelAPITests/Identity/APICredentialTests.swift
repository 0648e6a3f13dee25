import Testing
import TunnelCore

@testable import TunnelAPI

/// Which credential the environment means.
@Suite struct APICredentialTests {
    private static func token(_ environment: [String: String]) throws -> String? {
        guard case .token(let secret) = try APICredential(environment: environment) else { return nil }
        return secret.reveal()
    }

    @Test(arguments: [Sample.apiKey, "  \(Sample.apiKey)\r\n", "\t\(Sample.apiKey)\u{a0}"])
    func trimsToken(_ value: String) throws {
        #expect(try Self.token(["API_TOKEN": value]) == Sample.apiKey)
    }

    @Test func tokenAloneBesideEmptyVariables() throws {
        let empty = Dictionary(uniqueKeysWithValues: WorkloadIdentityTests.complete.keys.map { ($0, "") })
        #expect(try Self.token(empty.merging(["API_TOKEN": Sample.apiKey]) { $1 }) == Sample.apiKey)
    }

    /// An organization's id alone may be there for other reasons.
    @Test func tokenWinsOverIncompleteIdentity() throws {
        let environment = ["API_TOKEN": Sample.apiKey, "ANTHROPIC_ORGANIZATION_ID": Sample.organization]
        #expect(try Self.token(environment) == Sample.apiKey)
    }

    @Test func bothAreTooMany() {
        let error = #expect(throws: CredentialError.self) {
            try APICredential(environment: WorkloadIdentityTests.complete.merging(["API_TOKEN": Sample.apiKey]) { $1 })
        }
        #expect(error?.code == .conflict && error?.description.contains("unset API_TOKEN") == true)
        #expect(error?.description.contains(Sample.apiKey) == false)
    }

    @Test(arguments: ["", " \n"]) func blankTokenIsUnset(_ value: String) throws {
        #expect(try Self.token(WorkloadIdentityTests.complete.merging(["API_TOKEN": value]) { $1 }) == nil)
    }

    @Test func neitherNamesBothWays() {
        let error = #expect(throws: CredentialError.self) { try APICredential(environment: [:]) }
        #expect(error?.code == .missing)
        for name in ["ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_IDENTITY_TOKEN", "API_TOKEN"] {
            #expect(error?.description.contains(name) == true)
        }
    }

    @Test func identityErrorsComeThrough() {
        var environment = WorkloadIdentityTests.complete
        environment["ANTHROPIC_WORKSPACE_ID"] = "x"
        let error = #expect(throws: CredentialError.self) { try APICredential(environment: environment) }
        #expect(error?.code == .malformed && error?.variables == ["ANTHROPIC_WORKSPACE_ID"])
    }

    @Test(arguments: ["key\u{1b}rest", "key\nrest", "key\0rest", "key rest", "kéy", "key\u{7f}rest"])
    func refusesWhatNoHeaderHoldsWithoutShowingIt(_ value: String) {
        let error = #expect(throws: CredentialError.self) { try APICredential(environment: ["API_TOKEN": value]) }
        #expect(error?.code == .malformed && error?.variables == ["API_TOKEN"])
        #expect(error?.description.contains("rest") == false && error?.description.contains("kéy") == false)
    }

    @Test func longestToken() throws {
        let longest = String(repeating: "k", count: maxBearerTokenBytes)
        #expect(try Self.token(["API_TOKEN": longest]) == longest)
        #expect(throws: CredentialError.self) { try APICredential(environment: ["API_TOKEN": longest + "k"]) }
    }
}
