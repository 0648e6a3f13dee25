import Testing
import TunnelCLI
import TunnelIO

@testable import setup

/// What each command line leaves of the system.
@Suite struct SetupSandboxTests {
    private func rules(
        _ command: [String], variables: [String: String] = [:], exists: Bool = true
    ) throws -> SandboxRules {
        guard case .run(let found, let arguments) = try SetupCommands.table.parse(command) else {
            return SandboxRules()
        }
        return SetupSandbox.rules(found.name, arguments, SetupEnvironment(variables), system: ["/usr/lib"]) { _ in
            exists
        }
    }

    private let writing = ["init", "--api-url=https://api.example:8443", "--output=dir:/data/tunnel"]

    @Test func `the output folder can be written, and no other`() throws {
        #expect(try rules(writing).writable == ["/data/tunnel"])
        #expect(try rules(writing).listable == ["/data"])
        #expect(try rules(writing, exists: false).writable == ["/data"])
        #expect(try rules(["init", "--output=k8s-secret:tunnel"]).writable.isEmpty)
    }

    @Test func `who looks only writes nothing`() throws {
        let found = try rules(["verify", "--output=dir:/data", "--ca=/certs/ca.pem"])
        #expect(found.writable.isEmpty)
        #expect(found.readable.contains("/data") && found.readable.contains("/certs"))
        #expect(try rules(["token", "reveal", "--output=dir:/data"]).writable == ["/data"])
    }

    @Test func `the API, the cluster and a proxy are dialled`() throws {
        #expect(try rules(writing).connect == .only([53, 443, 8443]))
        let variables = ["HTTPS_PROXY": "http://user:word@proxy.example:3128", "KUBERNETES_SERVICE_PORT": "6443"]
        #expect(try rules(writing, variables: variables).connect == .only([53, 443, 3128, 6443, 8443]))
        #expect(
            try rules(["init"], variables: ["API_URL": "https://api.example:444"]).connect == .only([53, 443, 444]))
        #expect(try rules(writing).bind == .only([]))
    }

    @Test func `the identity token's folder is read, as Kubernetes swaps it`() throws {
        let found = try rules(writing, variables: ["ANTHROPIC_IDENTITY_TOKEN_FILE": "/not-there/token"])
        #expect(found.readable.contains("/not-there"))
        #expect(found.readable.contains("/var/run/secrets/kubernetes.io/serviceaccount"))
    }

    @Test func `the mode is a variable`() throws {
        #expect(try SetupSandbox.mode(SetupEnvironment([:])) == .bestEffort)
        for mode in SandboxMode.allCases {
            #expect(try SetupSandbox.mode(SetupEnvironment(["SETUP_SANDBOX": mode.rawValue])) == mode)
        }
        #expect(throws: UsageError.self) { try SetupSandbox.mode(SetupEnvironment(["SETUP_SANDBOX": "on"])) }
    }
}
