import Testing
import TunnelCLI
import TunnelSetup

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

    @Test(arguments: [("root", UInt32(0)), ("65532", 65532)])
    func anOwnerIsAUsersNameOrNumber(_ row: (text: String, userID: UInt32)) throws {
        let arguments = try Self.arguments(["--output=dir:/data", "--output-owner=\(row.text)"])
        let expected = OutputPlace.directory("/data", owner: FolderOwner(userID: row.userID))
        #expect(try OutputPlace.chosen(arguments, SetupEnvironment(Self.pod)) == expected)
    }

    @Test(arguments: ["nobody-of-that-name", "-1", "4294967295"])
    func refusesAnOwnerThatIsNoUser(_ text: String) throws {
        let arguments = try Self.arguments(["--output=dir:/data", "--output-owner=\(text)"])
        let error = #expect(throws: UsageError.self) { try OutputPlace.chosen(arguments, SetupEnvironment([:])) }
        #expect(error?.reason.contains("--output-owner") == true && error?.reason.contains(text) == true)
    }

    /// A Secret, the default of a pod, and nothing at all.
    @Test(arguments: [(["--output=k8s-secret:name"], [:]), ([], pod), ([], [:])])
    func anOwnerIsForFolders(_ line: [String], _ environment: [String: String]) throws {
        let arguments = try Self.arguments(line + ["--output-owner=root"])
        let error = #expect(throws: UsageError.self) {
            try OutputPlace.chosen(arguments, SetupEnvironment(environment))
        }
        #expect(error?.reason.contains("--output-owner goes with --output=dir:/path") == true)
    }

    @Test func badValueIsNotPassedOverInAPod() throws {
        let arguments = try Self.arguments(["--output=data"])
        #expect(throws: UsageError.self) { try OutputPlace.chosen(arguments, SetupEnvironment(Self.pod)) }
    }
}
