import Glibc
import Testing
import TunnelCLI

@testable import setup

/// The process's environment has no lock, so that one test changes it at a time.
@Suite(.serialized) struct SetupEnvironmentTests {
    private static let identity = [
        "ANTHROPIC_FEDERATION_RULE_ID": "fdrl_01Rule", "ANTHROPIC_IDENTITY_TOKEN": "eyJ.secret.token",
        "ANTHROPIC_ORGANIZATION_ID": "00000000-0000-4000-8000-000000000001",
    ]

    @Test func emptyVariableIsNotSet() {
        let environment = SetupEnvironment(["API_URL": "", "TUNNEL_ID": "tnl_1"])
        #expect(environment["API_URL"] == nil && environment["TUNNEL_ID"] == "tnl_1")
    }

    /// As container engines pass on what was not given to them.
    @Test func emptySecretIsNotSet() throws {
        let empty = ["API_TOKEN": "", "HTTPS_PROXY": "", "https_proxy": "http://proxy.example:3128"]
        let environment = SetupEnvironment(Self.identity.merging(empty) { $1 })
        #expect("\(try environment.credential())".contains("fdrl_01Rule"))
        #expect(try environment.proxyPort() == 3128)
    }

    /// What is asked for by name can be printed; a secret cannot be asked for like that.
    @Test(arguments: ["API_TOKEN", "ANTHROPIC_IDENTITY_TOKEN", "HTTPS_PROXY", "https_proxy"])
    func secretIsNoPlainValue(_ name: String) {
        let environment = SetupEnvironment([name: "very-secret-value"])
        #expect(environment[name] == nil)
        #expect(!"\(environment)".contains("very-secret-value"))
        #expect(!String(reflecting: environment).contains("very-secret-value"))
        var dumped = ""
        dump(environment, to: &dumped)
        #expect(!dumped.contains("very-secret-value"))
    }

    @Test func credentialIsOneOfTwo() throws {
        let key = try SetupEnvironment(["API_TOKEN": "a-key-0123456789"]).credential()
        #expect("\(key)".hasPrefix("token(") && !"\(key)".contains("a-key"))
        let identity = try SetupEnvironment(Self.identity).credential()
        #expect("\(identity)".contains("fdrl_01Rule") && !"\(identity)".contains("eyJ"))
        let both = Self.identity.merging(["API_TOKEN": "key"]) { $1 }
        #expect(throws: (any Error).self) { try SetupEnvironment(both).credential() }
        #expect(throws: (any Error).self) { try SetupEnvironment([:]).credential() }
    }

    @Test func proxyThatCannotBeUsedIsAUsageError() {
        let error = #expect(throws: UsageError.self) {
            try SetupEnvironment(["HTTPS_PROXY": "socks5://user:pass-word@host"]).proxies()
        }
        #expect(error?.reason.contains("HTTPS_PROXY") == true && error?.reason.contains("pass-word") == false)
    }

    /// The bytes of the environment are overwritten, not only forgotten.
    @Test func takingASecretErasesIt() throws {
        setenv("API_TOKEN", "erase-me-0123456789", 1)
        setenv("TUNNEL_ID", "tnl_Kept", 1)
        defer { unsetenv("TUNNEL_ID") }
        let place = try #require(getenv("API_TOKEN"))
        let environment = SetupEnvironment.take()
        #expect(getenv("API_TOKEN") == nil)
        // SAFETY: the block that setenv made for the variable is not freed while the process runs.
        let left = UnsafeRawBufferPointer(start: place, count: "erase-me-0123456789".utf8.count)
        #expect(left.allSatisfy { $0 == 0 })
        #expect(environment["TUNNEL_ID"] == "tnl_Kept" && getenv("TUNNEL_ID") != nil)
        #expect("\(try environment.credential())".hasPrefix("token("))
    }

    @Test func podIsKnownByItsVariables() {
        let environment = SetupEnvironment(["KUBERNETES_SERVICE_HOST": "::1", "API_URL": "https://x", "HOME": "/"])
        #expect(environment.cluster == ["KUBERNETES_SERVICE_HOST": "::1"])
    }
}
