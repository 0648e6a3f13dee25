import Testing

@testable import mcp_proxy

@Suite struct CommandLineOptionsTests {
    private static let defaultPath = "/etc/mcp-gateway/config.yaml"

    /// One row is one behaviour: arguments, what is to be done, configuration path, tunnel domain.
    private static let accepted: [([String], CommandLineOptions.Action, String, String?)] = [
        ([], .serve, defaultPath, nil),
        (["-config", "c.yaml"], .serve, "c.yaml", nil),
        (["--config", "c.yaml"], .serve, "c.yaml", nil),
        (["-config=c.yaml"], .serve, "c.yaml", nil),
        (["--config=c.yaml"], .serve, "c.yaml", nil),
        // What is behind the first = is the value, others in it too.
        (["-config=a=b"], .serve, "a=b", nil),
        // As in Go, a value may look like a flag.
        (["-config", "-version"], .serve, "-version", nil),
        (["-config", "a", "-config", "b"], .serve, "b", nil),
        (["-tunnel-domain", "t.example"], .serve, defaultPath, "t.example"),
        (["--tunnel-domain=t.example", "--config", "c"], .serve, "c", "t.example"),
        (["-version"], .showVersion, defaultPath, nil),
        (["--version"], .showVersion, defaultPath, nil),
        (["-help"], .showHelp, defaultPath, nil),
        (["--help"], .showHelp, defaultPath, nil),
        (["-h"], .showHelp, defaultPath, nil),
        (["demo"], .demo, defaultPath, nil),
        (["demo", "-data=d"], .demo, defaultPath, nil),
        (["healthcheck"], .healthcheck, defaultPath, nil),
        (["healthcheck", "-addr", ":8080"], .healthcheck, defaultPath, nil),
        (["healthcheck", "-config=c", "-tunnel-domain", "t.example"], .healthcheck, "c", "t.example"),
        (["healthcheck", "-help"], .showHelp, defaultPath, nil),
    ]

    @Test(arguments: accepted)
    func accepts(_ arguments: [String], _ action: CommandLineOptions.Action, _ path: String, _ domain: String?) throws {
        let options = try CommandLineOptions(arguments)
        #expect(options.action == action && options.configPath == path && options.tunnelDomain == domain)
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
        (["-data", "d"], "flag -data belongs to demo"),
        (["-version", "demo"], "unexpected argument \"demo\""),
        (["-config", "c", "healthcheck"], "unexpected argument \"healthcheck\""),
        (["healthcheck", "demo"], "unexpected argument \"demo\""),
        (["-addr", ":8080"], "flag -addr belongs to healthcheck"),
        (["healthcheck", "-addr"], "flag needs an argument: -addr"),
        (
            ["healthcheck", "-addr", "proxy:8080"],
            "flag -addr: invalid address \"proxy:8080\" (write 127.0.0.1:8080, [::1]:8080 or unix:/path)"
        ),
        (["healthcheck", "-addr", ":1", "-config", "c"], "flags -addr and -config exclude each other"),
    ]

    @Test(arguments: refused) func refuses(_ arguments: [String], _ reason: String) {
        #expect(throws: UsageError(reason)) { try CommandLineOptions(arguments) }
    }

    @Test func readsTheAddressToCheck() throws {
        let options = try CommandLineOptions(["healthcheck", "-addr=[::1]:8080"])
        #expect(options.address.map { "\($0)" } == "[::1]:8080")
    }

    @Test func usageNamesEveryFlag() {
        for flag in ["-config", "-tunnel-domain", "-version", "-help", "demo", "healthcheck", "-addr"] {
            #expect(CommandLineOptions.usage.contains(flag))
        }
    }
}
