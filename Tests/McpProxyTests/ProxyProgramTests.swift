import Glibc
import Testing
import TunnelCLI
import TunnelProxy

@testable import mcp_proxy

@Suite struct ProxyProgramTests {
    private static let table = ProxyProgram.table
    private static let config = ProxyConfiguration.defaultPath

    /// What a command line asks for, with the configuration and the domain that it comes to.
    private static func outcome(_ arguments: [String]) throws(UsageError) -> String {
        switch try table.parse(arguments) {
        case .help: return "help"
        case .version: return "version"
        case .run(let command, let arguments):
            let name = command.path.isEmpty ? "serve" : command.name
            return "\(name) \(arguments[.config] ?? config) \(arguments[.tunnelDomain] ?? "-")"
        }
    }

    /// One row is one behaviour.
    private static let accepted: [([String], String)] = [
        ([], "serve \(config) -"),
        (["-config", "c.yaml"], "serve c.yaml -"),
        (["--config", "c.yaml"], "serve c.yaml -"),
        (["-config=c.yaml"], "serve c.yaml -"),
        (["--config=c.yaml"], "serve c.yaml -"),
        // What is behind the first = is the value, others in it too.
        (["-config=a=b"], "serve a=b -"),
        // As in Go, a value may look like a flag.
        (["-config", "-version"], "serve -version -"),
        (["-config", "a", "-config", "b"], "serve b -"),
        (["-tunnel-domain", "t.example"], "serve \(config) t.example"),
        (["--tunnel-domain=t.example", "--config", "c"], "serve c t.example"),
        (["-debuggable"], "serve \(config) -"),
        (["-version"], "version"),
        (["--version"], "version"),
        (["-help"], "help"),
        (["--help"], "help"),
        (["-h"], "help"),
        (["demo"], "demo \(config) -"),
        (["demo", "-data=d"], "demo \(config) -"),
        (["-data=d", "demo"], "demo \(config) -"),
        (["hello", "-listen", ":9000"], "hello \(config) -"),
        (["healthcheck"], "healthcheck \(config) -"),
        (["healthcheck", "-addr", ":8080"], "healthcheck \(config) -"),
        (["healthcheck", "-config=c", "-tunnel-domain", "t.example"], "healthcheck c t.example"),
        (["-config", "c", "healthcheck"], "healthcheck c -"),
        (["check", "-config", "c", "--json", "-edge"], "check c -"),
        (["--json", "check"], "check \(config) -"),
        (["reload"], "reload \(config) -"),
        (["reload", "-config=c"], "reload c -"),
        (["healthcheck", "-help"], "help"),
    ]

    @Test(arguments: accepted) func accepts(_ arguments: [String], _ expected: String) throws {
        #expect(try Self.outcome(arguments) == expected)
    }

    private static let refused: [([String], String)] = [
        (["-config"], "flag needs an argument: -config"),
        (["-config="], "flag -config is empty"),
        (["-config", ""], "flag -config is empty"),
        (["--tunnel-domain"], "flag needs an argument: -tunnel-domain"),
        (["-confg", "x"], "flag provided but not defined: -confg (did you mean -config?)"),
        (["-nothing-like-it"], "flag provided but not defined: -nothing-like-it"),
        (["---config", "x"], "bad flag syntax: ---config"),
        (["-version=true"], "flag takes no value: -version"),
        (["-"], "unexpected argument \"-\""),
        (["--"], "unexpected argument \"--\""),
        (["serve"], "unexpected argument \"serve\""),
        (["demo", "more"], "unexpected argument \"more\""),
        (["demo", "-data"], "flag needs an argument: -data"),
        (["-data", "d"], "flag -data belongs to probe and demo"),
        (["demo", "-config", "c"], "flag -config does not belong to demo"),
        (["reload", "-tunnel-domain", "t"], "flag -tunnel-domain does not belong to reload"),
        (["-version", "demo"], "unexpected argument \"demo\""),
        (["healthcheck", "demo"], "unexpected argument \"demo\""),
        (["-addr", ":8080"], "flag -addr belongs to healthcheck"),
        (["healthcheck", "-addr"], "flag needs an argument: -addr"),
    ]

    @Test(arguments: refused) func refuses(_ arguments: [String], _ reason: String) {
        let error = #expect(throws: UsageError.self) { try Self.outcome(arguments) }
        #expect(error?.reason == reason)
    }

    /// What is found only when the command runs.
    @Test(arguments: [
        (
            ["healthcheck", "-addr", "proxy:http"],
            "flag -addr: invalid address \"proxy:http\" (write 127.0.0.1:8080, [::1]:8080, NAME:8080 or unix:/path)"
        ),
        (["healthcheck", "-addr", ":1", "-config", "c"], "flags -addr and -config exclude each other"),
        (["probe", "-ca", "c"], "flag -host is needed: the public host name of a route"),
        (
            ["probe", "-host", "a.example"],
            "flag -ca is needed: the CA that is registered on the tunnel, as setup wrote it to ca.crt"
        ),
        (
            ["probe", "-host", "https://a.example"],
            "flag -host: not a host name \"https://a.example\" (write echo.DOMAIN, without scheme and path)"
        ),
        (
            ["probe", "-url", "wss://a:1", "-host", "a.example"],
            "flag -url: the proxy speaks ws://, TLS comes inside of the WebSocket (write ws://127.0.0.1:8080, ws://NAME:8080"
                + " or unix:/path)"
        ),
        (
            ["probe", "-url", "http://a:1", "-host", "a.example"],
            "flag -url: invalid URL \"http://a:1\" (write ws://127.0.0.1:8080, ws://NAME:8080 or unix:/path)"
        ),
        (["probe", "-host", "a.example", "-H", "x"], "flag -H: not a field \"x\" (write 'Name: value')"),
        (["probe", "-host", "a.example", "-H", "X: secret\r\n"], "flag -H: not a field \"X\" (write 'Name: value')"),
        (["probe", "-host", "a.example", "-H", "Connection: x"], "flag -H: Connection is made by the probe itself"),
        (["probe", "-host", "a.example", "-count", "0"], "flag -count: \"0\" is out of range (use 1 to 1000000)"),
        (
            ["probe", "-host", "a.example", "-timeout", "10"],
            "flag -timeout: \"10\" is no duration (write 500ms, 10s or 1m)"
        ),
        (
            ["probe", "-host", "a.example", "-data", "@/nowhere"],
            "flag -data: open /nowhere: no such file or directory"
        ),
        (
            ["probe", "-host", "a.example", "-ca", "/nowhere"],
            "flag -ca: open /nowhere: no such file or directory"
        ),
        (
            ["hello", "-listen", "9000"],
            "flag -listen: invalid address \"9000\" (write 127.0.0.1:8080, [::1]:8080 or unix:/path)"
        ),
    ])
    func refusesValues(_ arguments: [String], _ reason: String) throws {
        guard case .run(let command, let arguments) = try Self.table.parse(arguments) else {
            throw UsageError("no command")
        }
        let error = #expect(throws: UsageError.self) { try command.action(arguments) }
        #expect(error?.reason == reason)
    }

    @Test func usageNamesEveryFlag() {
        for flag in [
            "-config", "-tunnel-domain", "-version", "-help", "demo", "healthcheck", "-addr", "reload", "hello",
        ] {
            #expect(Self.table.help.contains(flag))
        }
    }

    // MARK: Documents

    private static func read(_ path: String) throws -> String {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let file = try #require(fopen("/\(root)/\(path)", "r"), "\(path) cannot be read")
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        return String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
    }

    @Test func readmeListsEveryCommandAndNoOther() throws {
        let section = try Self.read("README.md").split(separator: "\n").drop { $0 != "### mcp-proxy" }.dropFirst()
        let names = section.prefix { !$0.hasPrefix("#") }.filter { $0.hasPrefix("| `") && !$0.hasPrefix("| `-") }
            .map { String($0.split(separator: "`")[1]) }
        #expect(names == Self.table.commands.map(\.name))
    }

    /// Page and completions name each command and flag; Tests/Deploy holds them against each other's details.
    @Test(arguments: [
        "deploy/man/mcp-proxy.1", "deploy/completions/bash/mcp-proxy", "deploy/completions/fish/mcp-proxy.fish",
        "deploy/completions/zsh/_mcp-proxy",
    ])
    func namesEveryCommandAndFlag(_ path: String) throws {
        let text = try Self.read(path)
        for name in Self.table.commands.map(\.name) + (Self.table.root?.flags ?? []).map(\.name) {
            #expect(text.contains(name), "\(name)")
        }
        for flag in Self.table.commands.flatMap(\.flags) { #expect(text.contains(flag.name), "\(flag.name)") }
    }
}
