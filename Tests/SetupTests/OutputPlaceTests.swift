import Testing
import TunnelCLI

@testable import setup

@Suite struct OutputPlaceTests {
    @Test(arguments: [
        ("dir:/data", OutputPlace.directory("/data")),
        ("dir:data", .directory("data")),
        ("dir:./a b:c", .directory("./a b:c")),
        ("k8s-secret:mcp-tunnel", .kubernetesSecret("mcp-tunnel")),
        ("k8s-secret:a.b-1", .kubernetesSecret("a.b-1")),
        ("k8s-secret:" + String(repeating: "n", count: 253), .kubernetesSecret(String(repeating: "n", count: 253))),
    ])
    func accepts(_ text: String, _ place: OutputPlace) throws { #expect(try OutputPlace(text) == place) }

    @Test(arguments: [
        "", "/data", "dir:", "dir:a\0b", "DIR:/data", "file:/data", "k8s-secret:", "k8s-secret:Upper",
        "k8s-secret:a/b", "k8s-secret:-a", "k8s-secret:a..b", "k8s-secret:" + String(repeating: "n", count: 254),
        "k8s:name",
    ])
    func refuses(_ text: String) {
        let error = #expect(throws: UsageError.self) { try OutputPlace(text) }
        #expect(error?.reason.contains("dir:/path or k8s-secret:NAME") == true)
        #expect((error?.reason.count ?? 0) < 200 && error?.reason.contains("\0") == false)
    }

    private static func arguments(_ line: [String]) throws -> Arguments {
        guard case .run(_, let arguments) = try SetupCommands.table.parse(["init"] + line) else {
            throw UsageError("no command")
        }
        return arguments
    }

    private static let pod = ["KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"]

    @Test func flagIsChosenEvenInAPod() throws {
        let arguments = try Self.arguments(["--output=dir:/data"])
        #expect(try OutputPlace.chosen(arguments, SetupEnvironment(Self.pod)) == .directory("/data"))
    }

    @Test func thereIsNoDefaultOutsideOfAPod() throws {
        let arguments = try Self.arguments([])
        #expect(try OutputPlace.chosen(arguments, SetupEnvironment([:])) == nil)
        // An empty variable is one that is not set.
        #expect(try OutputPlace.chosen(arguments, SetupEnvironment(["KUBERNETES_SERVICE_HOST": ""])) == nil)
    }

    @Test func badValueIsNotPassedOverInAPod() throws {
        let arguments = try Self.arguments(["--output=data"])
        #expect(throws: UsageError.self) { try OutputPlace.chosen(arguments, SetupEnvironment(Self.pod)) }
    }
}
