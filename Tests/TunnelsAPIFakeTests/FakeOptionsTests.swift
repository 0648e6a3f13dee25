import Testing
import TunnelsAPIFake

@testable import tunnels_api_fake

/// The program's command line.
@Suite struct FakeOptionsTests {
    @Test func defaults() throws {
        let options = try FakeOptions([])
        #expect("\(options.address)" == "127.0.0.1:8790" && options.statePath == nil)
        #expect(options.configuration.rules == [FakeRule()] && options.configuration.tunnels.isEmpty)
        #expect(!options.printsJSON && !options.isQuiet && !options.showsHelp)
    }

    @Test func everyFlag() throws {
        let options = try FakeOptions([
            "--listen", "[::1]:0", "-state=/tmp/s", "--tunnel", "a", "--tunnel=b=tnl_1", "--rule", "fdrl_9",
            "--organization", "00000000-0000-4000-8000-00000000000A", "--subject", "repo:*", "--audience=x=y",
            "--scope", "org:manage_tunnels", "--omit-scope", "--workspace", "wrkspc_1", "--workspace", "default",
            "--json", "--quiet",
        ])
        #expect("\(options.address)" == "[::1]:0" && options.statePath == "/tmp/s")
        #expect(
            options.configuration.tunnels == [
                .init(displayName: "a", workspaceID: "wrkspc_1"),
                .init(displayName: "b", id: "tnl_1", workspaceID: "wrkspc_1"),
            ])
        let rule = FakeRule(
            id: "fdrl_9", subject: "repo:*", audience: "x=y", scope: "org:manage_tunnels", reportsScope: false,
            workspaces: ["wrkspc_1", "default"])
        #expect(options.configuration.rules == [rule] && options.rule == rule)
        #expect(options.configuration.organizationID.hasSuffix("A") && options.printsJSON && options.isQuiet)
        #expect(try FakeOptions(["-h"]).showsHelp)
    }

    @Test(arguments: [
        (["--listen", "0.0.0.0:1"], "loopback"), (["--listen", "[::]:1"], "loopback"),
        (["--listen", "192.168.1.1:1"], "loopback"), (["--listen", "::1:1"], "loopback"),
        (["--listen", "localhost:1"], "loopback"), (["--listen", "127.0.0.1"], "loopback"),
        (["--listen", "127.0.0.1:65536"], "loopback"), (["--listen", "[127.0.0.1]:1"], "loopback"),
        (["--listen"], "needs an argument: --listen"), (["--listen="], "needs an argument: --listen"),
        (["--json=1"], "takes no value: --json"), (["--liste"], "did you mean --listen?"),
        (["--zzzzzz"], "not defined: --zzzzzz"), (["x"], "unexpected argument \"x\""), (["---json"], "unexpected"),
        (["--"], "unexpected"), (["--tunnel", "a=b"], "--tunnel"), (["--tunnel", "=tnl_1"], "--tunnel"),
        (["--rule", "x"], "--rule"), (["--organization", "x"], "--organization"),
        (["--workspace", "x"], "--workspace"),
    ])
    func mistakesAreNamed(_ arguments: [String], _ reason: String) {
        let failure = #expect(throws: FakeOptions.Failure.self) { try FakeOptions(arguments) }
        #expect(failure?.reason.contains(reason) == true, "\(failure?.reason ?? "")")
    }
}
