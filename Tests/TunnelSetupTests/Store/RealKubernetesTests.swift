import Glibc
import Testing
import TunnelAPI

@testable import TunnelSetup

/// A real API server, or a stand-in of another make, named by `KUBERNETES_TEST_SERVER` (its URL),
/// `KUBERNETES_TEST_CA_FILE`, `KUBERNETES_TEST_TOKEN_FILE` and `KUBERNETES_TEST_NAMESPACE`. The token needs `create`, `get`
/// and `patch` for Secrets there; a Secret `mcp-tunnel-test-PROCESS` is left behind.
@Suite(.enabled(if: RealCluster.variables != nil, "no cluster is named by KUBERNETES_TEST_SERVER and its companions"))
struct RealKubernetesTests {
    @Test func theSecretIsMadeReadChangedAndDefended() async throws {
        let cluster = try #require(RealCluster.variables)
        let client = try KubernetesSecretClient(
            service: ServiceURL(cluster.server), namespace: cluster.namespace, name: "mcp-tunnel-test-\(getpid())",
            credential: .tokenFile(cluster.tokenFile), transport: HTTPSTransport(trust: .pem(cluster.ca)))
        let store = KubernetesSecretStore(client)
        let empty = try await store.load()
        #expect(empty.isEmpty)
        let changes: [StoreKey: String?] = [.tunnelID: "t-1", .serverKey: "key 1", .setupState: "state"]
        let made = try await store.write(StoreChanges(changes), over: empty)
        #expect(made.texts == changes.compactMapValues { $0 })
        // Others put their own beside it, and what was read before is still what we decide upon.
        let secret = try #require(try await client.read())
        _ = try await client.patch(data: ["theirs": Array("value".utf8)], resourceVersion: secret.resourceVersion)
        let changed = try await store.write(
            StoreChanges([.serverKey: "key 2", .serverCertificate: "certificate", .setupState: nil]), over: made)
        #expect(changed.texts == [.tunnelID: "t-1", .serverKey: "key 2", .serverCertificate: "certificate"])
        #expect(try await store.load().texts == changed.texts)
        #expect(try await client.read()?.value("theirs") == Array("value".utf8))
        await #expect(throws: StoreError(.conflict, "", remedy: "")) {
            try await store.write(StoreChanges([.tunnelToken: "token"]), over: made)
        }
        let taken = await #expect(throws: KubernetesError.self) { _ = try await client.create(data: [:]) }
        #expect(taken?.code == .alreadyExists)
        let outdated = await #expect(throws: KubernetesError.self) {
            _ = try await client.patch(data: ["theirs": nil], resourceVersion: secret.resourceVersion)
        }
        #expect(outdated?.code == .conflict)
    }
}

private struct RealCluster {
    let server: String, tokenFile: String, namespace: String
    let ca: [UInt8]

    static let variables: RealCluster? = {
        let value = { (name: String) in getenv("KUBERNETES_TEST_\(name)").map { String(cString: $0) } }
        guard let server = value("SERVER"), let tokenFile = value("TOKEN_FILE"), let namespace = value("NAMESPACE"),
            let ca = value("CA_FILE").flatMap({ fopen($0, "r") })
        else { return nil }
        defer { fclose(ca) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, ca)
        return RealCluster(
            server: server, tokenFile: tokenFile, namespace: namespace, ca: Array(bytes.prefix(count)))
    }()
}
