import Testing
import TunnelCore

@testable import TunnelAPI

@Suite struct InClusterConfigurationTests {
    static let addresses: [(host: String, port: String?, service: String)] = [
        ("10.96.0.1", "443", "https://10.96.0.1"), ("10.96.0.1", nil, "https://10.96.0.1"),
        ("10.96.0.1", "", "https://10.96.0.1"), ("10.96.0.1", "6443", "https://10.96.0.1:6443"),
        ("fd00::1", "443", "https://[fd00::1]"), ("[fd00::1]", "6443", "https://[fd00::1]:6443"),
        ("kubernetes.default.svc", "443", "https://kubernetes.default.svc"),
    ]

    @Test(arguments: addresses.indices) func theVariablesMakeAnAddress(_ index: Int) throws {
        let (host, port, service) = Self.addresses[index]
        let account = try ServiceAccountFolder("a-token\n", authority: "a bundle", namespace: "tunnels\n")
        var environment = ["KUBERNETES_SERVICE_HOST": host]
        environment["KUBERNETES_SERVICE_PORT"] = port
        #expect(InClusterConfiguration.isPresent(environment: environment, folder: account.folder))
        let cluster = try InClusterConfiguration(environment: environment, folder: account.folder)
        #expect(cluster.service.description == service && cluster.namespace == "tunnels")
        #expect(cluster.ca == Array("a bundle".utf8))
        #expect(try cluster.credential.token().reveal() == "a-token")
    }

    static let wrongVariables: [(environment: [String: String], says: String)] = [
        ([:], "KUBERNETES_SERVICE_HOST is not set"), (["KUBERNETES_SERVICE_HOST": ""], "is not set"),
        (["KUBERNETES_SERVICE_HOST": "a b"], "are no address"),
        (["KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "0"], "no valid port"),
        (["KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "65536"], "are no address"),
        (["KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443/x"], "is no port"),
        (["KUBERNETES_SERVICE_HOST": "user@10.0.0.1"], "user name"),
    ]

    @Test(arguments: wrongVariables.indices) func aWrongVariableIsNamed(_ index: Int) throws {
        let (environment, says) = Self.wrongVariables[index]
        let account = try ServiceAccountFolder("t")
        let error = #expect(throws: KubernetesError.self) {
            _ = try InClusterConfiguration(environment: environment, folder: account.folder)
        }
        #expect(error?.code == .configuration && error?.reason.contains("KUBERNETES_SERVICE_") == true)
        #expect(error?.reason.contains(says) == true, "\(error as Any)")
    }

    @Test(arguments: ["token", "ca.crt", "namespace"]) func aMissingFileIsNamed(_ name: String) throws {
        let account = try ServiceAccountFolder("t")
        let environment = ["KUBERNETES_SERVICE_HOST": "10.0.0.1"]
        account.remove(name)
        #expect(InClusterConfiguration.isPresent(environment: environment, folder: account.folder) == (name != "token"))
        let error = #expect(throws: KubernetesError.self) {
            _ = try InClusterConfiguration(environment: environment, folder: account.folder)
        }
        #expect(error?.reason == "open \(account.folder)/\(name): no such file or directory")
    }

    @Test func outsideOfAPodThereIsNone() throws {
        #expect(!InClusterConfiguration.isPresent(environment: [:], folder: try ServiceAccountFolder("t").folder))
        #expect(!InClusterConfiguration.isPresent(environment: ["KUBERNETES_SERVICE_HOST": "h"], folder: "/no/such"))
    }

    static let limits: [(name: String, limit: Int)] = [
        ("token", InClusterConfiguration.maxTokenBytes), ("ca.crt", InClusterConfiguration.maxCABytes),
        ("namespace", InClusterConfiguration.maxNamespaceBytes),
    ]

    @Test(arguments: limits.indices) func everyFileHasItsLimit(_ index: Int) throws {
        let (name, limit) = Self.limits[index]
        let account = try ServiceAccountFolder("t")
        let environment = ["KUBERNETES_SERVICE_HOST": "10.0.0.1"]
        try account.write(String(repeating: "x", count: limit), to: name)
        _ = try InClusterConfiguration(environment: environment, folder: account.folder)
        try account.write(String(repeating: "x", count: limit + 1), to: name)
        let error = #expect(throws: KubernetesError.self) {
            _ = try InClusterConfiguration(environment: environment, folder: account.folder)
        }
        #expect(error?.reason == "read \(account.folder)/\(name): larger than \(limit) bytes")
    }

    @Test(arguments: [
        ("", "empty"), (" \n", "empty"), ("a b", "not one word"), ("a\nb", "not one word"), ("ä", "not one word"),
    ])
    func aTokenIsOneWord(_ text: String, _ says: String) throws {
        let account = try ServiceAccountFolder(text)
        let error = #expect(throws: KubernetesError.self) {
            _ = try KubernetesCredential.tokenFile(account.path).token()
        }
        #expect(error?.reason == "read \(account.path): \(says)")
    }
}
