import Foundation
import Testing
import TunnelPKI
import TunnelsAPIFake

/// The program over a real socket, with curl as its client.
@Suite struct ProgramTests {
    @Test func aTunnelFromTheFirstRequestToTheLast() throws {
        let program = try FakeProgram(["--tunnel", "staging=tnl_staging"])
        #expect(program.greeting["tunnels"]?.elements?.map { $0["id"] } == ["tnl_staging"])
        let token = try program.accessToken()
        let fields = program.fields(token)
        let created = try program.post("/v1/tunnels?beta=true", #"{"display_name":"x"}"#, fields)
        let id = try #require(created.json["id"]?.text)
        let authority = try CertificateAuthority.generate(now: Int64(Date().timeIntervalSince1970))
        let body: FakeJSON = ["ca_certificate_pem": .string(authority.pem)]
        let added = try program.post(
            "/v1/tunnels/\(id)/certificates", String(decoding: body.bytes, as: UTF8.self), fields)
        #expect(added.json["fingerprint"]?.text == authority.certificate.fingerprint)
        #expect(try program.curl("/v1/tunnels/\(id)/reveal_token", ["--request", "POST"] + fields).status == 200)
        #expect(try program.curl("/v1/tunnels", fields).json["data"]?.elements?.count == 2)
        #expect(try program.curl("/v1/tunnels").status == 400)
        #expect(try program.curl("/nothing").status == 404)

        let lines = try (0..<7).map { _ in try program.line() }
        let paths = lines.map { $0.prefix { $0 != "→" } }
        #expect(
            paths == [
                "POST /v1/oauth/token ", "POST /v1/tunnels ", "POST /v1/tunnels/\(id)/certificates ",
                "POST /v1/tunnels/\(id)/reveal_token ", "GET /v1/tunnels ", "GET /v1/tunnels ", "GET /nothing ",
            ])
        #expect(lines[6].contains("→ 404 req_011CS"))
        #expect(!lines.joined().contains(token), "no line holds a secret")
        let audit = try program.curl("/_fake/state").json["audit"]?.elements?.compactMap { $0["kind"]?.text }
        #expect(
            audit == [
                "tunnel_created", "tunnel_token_minted", "tunnel_created", "tunnel_certificate_added",
                "tunnel_token_revealed",
            ])
        #expect(program.end(SIGTERM) == 0)
    }

    /// Kind, and how curl ends.
    @Test(arguments: [
        ("drop_before", [56, 52], 0), ("drop_after", [56, 52], 1), ("refuse", [56, 52], 0), ("drop_mid_body", [18], 1),
        ("stall", [28], 0),
    ])
    func faultsOnTheSocket(_ kind: String, _ exits: [Int32], _ tunnels: Int) throws {
        let program = try FakeProgram(["--quiet"])
        let fields = program.fields(try program.accessToken())
        #expect(try program.post("/_fake/faults", #"{"kind":"\#(kind)","path":"/v1/tunnels"}"#).status == 200)
        // One second is for the stall, which ends in no other way.
        let answer = try program.post("/v1/tunnels", "{}", fields + (kind == "stall" ? ["--max-time", "1"] : []))
        #expect(exits.contains(answer.exitStatus), "\(answer.exitStatus)")
        #expect(try program.curl("/_fake/state").json["tunnels"]?.elements?.count == tunnels)
        #expect(try program.post("/v1/tunnels", "{}", fields).status == 200)
    }

    @Test func answersThatAreFaults() throws {
        let program = try FakeProgram()
        let faults = """
            [{"kind":"answer","status":529,"retry_after":"2"},{"kind":"html"},{"kind":"oversized_body","bytes":3000000}]
            """
        #expect(try program.post("/_fake/faults", faults).status == 200)
        let overloaded = try program.curl("/v1/tunnels", ["--include"])
        #expect(overloaded.status == 529 && String(decoding: overloaded.body, as: UTF8.self).contains("retry-after: 2"))
        #expect(try program.curl("/v1/tunnels").status == 502)
        #expect(try program.curl("/v1/tunnels").body.count == 3_000_000)
    }

    @Test func theStateOutlivesAKill() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("fake-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("state.json").path
        let first = try FakeProgram(["--state", path, "--tunnel", "console"])
        let token = try first.accessToken()
        #expect(try first.post("/_fake/faults", #"{"kind":"drop_after"}"#).status == 200)
        #expect(try first.post("/v1/tunnels", "{}", first.fields(token)).status == 0)
        let state = try first.curl("/_fake/state").json
        #expect(first.end(SIGKILL) == SIGKILL)

        let second = try FakeProgram(["--state", path, "--tunnel", "console"])
        let again = try second.curl("/_fake/state").json
        for name in ["tunnels", "audit", "access_tokens"] { #expect(again[name] == state[name]) }
        #expect(again["tunnels"]?.elements?.count == 2)
        #expect(try second.curl("/v1/tunnels", second.fields(token)).status == 200)
        let permissions = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
        #expect(permissions?.intValue == 0o600)
        #expect(second.end(SIGINT) == 0)

        try Data("{}".utf8).write(to: URL(fileURLWithPath: path))
        let third = try FakeProgram.run(["--state", path])
        #expect(third.status == 1 && third.errors.contains(path))
    }

    @Test func bodiesHaveALimitOnTheWire() throws {
        let program = try FakeProgram()
        let fields = program.fields(try program.accessToken())
        for (count, status) in [(1 << 20, 200), (1 << 20 + 1, 413), (20 << 20, 413)] {
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("fake-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: file) }
            try Data("{}".utf8 + [UInt8](repeating: 0x20, count: count - 2)).write(to: file)
            for extra in [[], ["--header", "transfer-encoding: chunked"]] {
                let answer = try program.post("/v1/tunnels", "@\(file.path)", fields + extra)
                #expect(answer.status == status, "\(count) \(extra)")
            }
        }
    }

    @Test(arguments: [
        (["--header", "host:"], 400), (["--header", "x: " + String(repeating: "a", count: 65_536)], 431),
        (["--head"], 404), (["--http1.0"], 400), (["--http2"], 400),
    ])
    func headsAreChecked(_ arguments: [String], _ status: Int) throws {
        let program = try FakeProgram()
        #expect(try program.curl("/v1/tunnels", arguments).status == status)
    }

    @Test func aConnectionCarriesManyRequests() throws {
        let program = try FakeProgram()
        // After a 9, how many connections the second request had to open.
        let answer = try program.curl("/v1/a", ["--write-out", "\n9%{num_connects}", program.url + "/v1/b"])
        #expect(answer.exitStatus == 0 && answer.status == 90)
        #expect(try program.curl("/_fake/requests").json["requests"]?.elements?.count == 2)
    }

    @Test func anAPIKeyComesFromTheEnvironment() throws {
        let program = try FakeProgram(environment: ["FAKE_API_TOKEN": "k3y"])
        #expect(try program.curl("/v1/tunnels", program.fields("k3y")).status == 200)
        #expect(try program.curl("/v1/tunnels", program.fields("other")).status == 401)
    }

    @Test func identityTokensAreFreshAndPlain() throws {
        let program = try FakeProgram()
        let answer = try program.curl("/_fake/identity-token?lifetime=60")
        #expect(String(decoding: answer.body, as: UTF8.self).wholeMatch(of: /eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/) != nil)
    }

    @Test func helpAndUsage() throws {
        let help = try FakeProgram.run(["--help"])
        #expect(help.status == 0 && help.output.contains("Example:") && help.errors.isEmpty)
        let wrong = try FakeProgram.run(["--listen", "0.0.0.0:8790"])
        #expect(wrong.status == 2 && wrong.errors.contains("loopback") && wrong.output.isEmpty)
        let program = try FakeProgram()
        let port = String(try #require(program.greeting["listen"]?.text))
        let taken = try FakeProgram.run(["--listen", port])
        #expect(taken.status == 1 && taken.errors.contains("address already in use"))
    }
}
