import Testing
import TunnelCore
import TunnelIO
import TunnelProxy

@testable import mcp_proxy

@Suite struct MCPDialogueTests {
    /// Plays a server: one response for each kind of request.
    private final class Script: MCPCarrier {
        let responses: [String: MCPResponse]
        var asked: [MCPRequest] = []

        init(_ responses: [String: MCPResponse]) { self.responses = responses }

        func send(_ request: MCPRequest) async throws -> MCPResponse {
            asked.append(request)
            let body = String(decoding: request.body, as: UTF8.self)
            let name = ["server/discover", "initialize", "tools/list", "initialized"].first { body.contains($0) }
            return responses[name ?? request.method] ?? MCPResponse(status: 405, fields: [], body: [])
        }
    }

    private static func json(_ body: String, _ status: Int = 200, _ fields: [(String, String)] = []) -> MCPResponse {
        MCPResponse(status: status, fields: [("Content-Type", "application/json")] + fields, body: Array(body.utf8))
    }

    private static func events(_ body: String) -> MCPResponse {
        MCPResponse(status: 200, fields: [("content-type", "text/event-stream; charset=utf-8")], body: Array(body.utf8))
    }

    private static func plain(_ status: Int, _ body: String = "", _ fields: [(String, String)] = []) -> MCPResponse {
        MCPResponse(status: status, fields: [("Content-Type", "text/plain")] + fields, body: Array(body.utf8))
    }

    private static let discovered = #"""
        {"jsonrpc":"2.0","id":"server-discover-probe-1","result":{"supportedVersions":["2026-07-28"],"capabilities":{},
        "_meta":{"io.modelcontextprotocol/serverInfo":{"name":"demo","version":"2"}}}}
        """#.split(separator: "\n").joined()
    private static let initialized =
        #"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","serverInfo":{"name":"old"}}}"#

    private static func error(_ code: Int, _ more: String = "") -> String {
        #"{"jsonrpc":"2.0","id":"server-discover-probe-1","error":{"code":\#(code),"message":"no"\#(more)}}"#
    }

    private static func run(_ script: Script, tools: Bool = false) async throws -> MCPVerdict {
        var dialogue = MCPDialogue(path: "/mcp", wantsTools: tools, clock: { 0 }, over: script)
        return try await dialogue.run()
    }

    // MARK: Healthy servers

    @Test func modernServerInJSON() async throws {
        let script = Script([
            "server/discover": Self.json(Self.discovered),
            "tools/list": Self.json(#"{"id":2,"result":{"tools":[{"name":"a"},{"name":"b"}]}}"#),
        ])
        let verdict = try await Self.run(script, tools: true)
        #expect(verdict.era == .modern && verdict.versions == ["2026-07-28"] && verdict.server == "demo 2")
        #expect(verdict.tools == ["a", "b"] && verdict.get == 405 && verdict.problems.isEmpty)
        #expect(script.asked.map(\.method) == ["POST", "POST", "GET"])
        let fields = Dictionary(uniqueKeysWithValues: script.asked[1].fields.map { ($0.name, $0.value) })
        #expect(fields["Mcp-Method"] == "tools/list" && fields["MCP-Protocol-Version"] == "2026-07-28")
    }

    @Test func modernServerInEvents() async throws {
        let stream =
            ": hello\r\n\r\nevent: message\r\ndata: {\"method\":\"notifications/x\"}\r\n\r\ndata: \(Self.discovered)\r\n\r\n"
        let verdict = try await Self.run(Script(["server/discover": Self.events(stream)]))
        #expect(verdict.era == .modern && verdict.server == "demo 2" && verdict.problems.isEmpty)
    }

    /// What servers before 2026-07-28 say to a method that they do not know, or to a request without a session.
    @Test(arguments: [
        (400, #"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Missing session ID"}}"#),
        (400, "Bad Request"), (404, "no"), (405, ""),
        (200, #"{"id":"server-discover-probe-1","error":{"code":-32601}}"#),
    ])
    func olderServer(_ status: Int, _ body: String) async throws {
        let script = Script([
            "server/discover": Self.json(body, status),
            "initialize": Self.json(Self.initialized, 200, [("Mcp-Session-Id", "s-1")]),
            "DELETE": Self.plain(204),
        ])
        let verdict = try await Self.run(script)
        #expect(verdict.era == .legacy && verdict.versions == ["2025-06-18"] && verdict.problems.isEmpty)
        let last = try #require(script.asked.last)
        #expect(last.method == "DELETE")
        #expect(last.fields.contains { $0 == ("Mcp-Session-Id", "s-1") })
        #expect(last.fields.contains { $0 == ("MCP-Protocol-Version", "2025-06-18") })
    }

    /// A line feed in it would be a field of the server's making in a request of ours.
    @Test func sessionThatIsNoFieldValueIsNotSentBack() async throws {
        let fields = [("Mcp-Session-Id", "a\r\nX: y")]
        let script = Script([
            "server/discover": Self.plain(400), "initialize": Self.json(Self.initialized, 200, fields),
        ])
        _ = try await Self.run(script)
        #expect(script.asked.map(\.method) == ["POST", "POST", "GET"])
    }

    @Test func serverOfBothErasThatRefusesTheNewOne() async throws {
        let refusal = Self.error(-32022, #","data":{"supported":["2025-11-25"],"requested":"2026-07-28"}"#)
        let script = Script(["server/discover": Self.json(refusal, 400), "initialize": Self.json(Self.initialized)])
        let verdict = try await Self.run(script)
        #expect(verdict.era == .legacy && verdict.problems.isEmpty)
    }

    @Test(arguments: [401, 403]) func authorizationIsNoFault(_ status: Int) async throws {
        let response = Self.plain(status, "", [("WWW-Authenticate", "Bearer")])
        let verdict = try await Self.run(Script(["server/discover": response]))
        #expect(verdict.authorization == status && verdict.challenge == "Bearer" && verdict.problems.isEmpty)
    }

    // MARK: Faults

    private static let faults: [(String, [String: MCPResponse], Fault)] = [
        ("host", ["server/discover": plain(421, "Invalid Host header")], .misdirected),
        ("host by 403", ["server/discover": plain(403, #"{"error":"Invalid Host: x"}"#)], .misdirected),
        ("not found", ["server/discover": plain(404), "initialize": plain(404)], .notFound),
        ("POST", ["server/discover": plain(405), "initialize": plain(405)], .postNotAllowed),
        ("bad request", ["server/discover": plain(400), "initialize": plain(406)], .badRequest),
        ("redirect", ["server/discover": plain(307, "", [("Location", "/mcp/")])], .redirected),
        ("failure", ["server/discover": plain(500)], .serverError),
        ("limit", ["server/discover": plain(429)], .tooMany),
        ("web page", ["server/discover": plain(200, "<html>"), "initialize": plain(200, "<html>")], .notMCP),
        (
            "stream without response",
            ["server/discover": plain(400), "initialize": events("data: {\"method\":\"notifications/x\"}\n\n")],
            .streamWithoutResponse
        ),
        (
            "discover without JSON", ["server/discover": plain(200, "ok"), "initialize": json(initialized)],
            .discoverNotJSON
        ),
        ("header", ["server/discover": json(error(-32020), 400)], .headerMismatch),
        ("capability", ["server/discover": json(error(-32021), 400)], .capabilityRequired),
        (
            "version", ["server/discover": json(error(-32022, #","data":{"supported":["2099-01-01"]}"#), 400)],
            .versionUnknown
        ),
        (
            "version of initialize",
            ["server/discover": plain(400), "initialize": json(#"{"id":1,"result":{"protocolVersion":"1"}}"#)],
            .versionUnknown
        ),
        (
            "error", ["server/discover": plain(400), "initialize": json(#"{"id":1,"error":{"code":-32603}}"#)],
            .protocolError
        ),
        (
            "old transport",
            ["server/discover": plain(405), "initialize": plain(405), "GET": events("event: endpoint\ndata: /m\n\n")],
            .oldTransport
        ),
        ("GET", ["server/discover": json(discovered), "GET": plain(500)], .getFails),
    ]

    @Test(arguments: faults.map(\.0)) func tells(_ name: String) async throws {
        let row = try #require(Self.faults.first { $0.0 == name })
        let verdict = try await Self.run(Script(row.1))
        #expect(verdict.problems.map(\.fault.id) == [row.2.id])
        #expect(verdict.problems.allSatisfy { !$0.evidence.isEmpty })
    }

    // MARK: Responses

    @Test func streamIsReadUpToTheResponse() {
        let reads = MCPRequest.discover("/mcp").reads
        #expect(!reads.isEnough(Array("data: {\"method\":\"notifications/x\"}\n\n".utf8)))
        #expect(!reads.isEnough(Array("data: \(Self.discovered)\n".utf8)))
        #expect(reads.isEnough(Array("data: \(Self.discovered)\n\n".utf8)))
        #expect(reads.isEnough(Array("data: \(Self.discovered)\r\n\r\n".utf8)))
    }

    /// A server may send what others have asked for, and what nobody has.
    @Test func responseIsTheOneWithTheIdOfTheRequest() {
        let other = #"{"jsonrpc":"2.0","id":2,"result":{"protocolVersion":"1"}}"#
        #expect(MCPMessage.find("1", in: Self.json(other)) == nil)
        #expect(MCPMessage.find("1", in: Self.json(#"{"jsonrpc":"2.0","id":2,"error":{"code":-32603}}"#)) == nil)
        #expect(MCPMessage.find("1", in: Self.json(#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)) == nil)
        let stream = Self.events("data: \(other)\n\ndata: \(Self.initialized)\n\n")
        #expect(MCPMessage.find("1", in: stream)?.result?.protocolVersion == "2025-06-18")
        // Of a request whose id the server could not read.
        #expect(MCPMessage.find("1", in: Self.json(#"{"error":{"code":-32700}}"#))?.error?.code == -32700)
    }

    /// Bytes of a peer: what is no message is none, and nothing traps.
    @Test(arguments: [
        "", "{", "[]", "null", "{}", #"{"id":{},"result":[]}"#, #"{"id":1,"result":{"supportedVersions":7}}"#,
        #"{"id":1e400,"error":{"code":1e99}}"#, String(repeating: "[", count: 100_000),
    ])
    func oddBodies(_ body: String) {
        let message = MCPMessage.find("1", in: Self.json(body))
        #expect(message?.result?.supportedVersions ?? [] == [])
        #expect(message?.error == nil)
    }
}
