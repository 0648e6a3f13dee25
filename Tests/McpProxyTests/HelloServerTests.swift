import Testing

@testable import mcp_proxy

@Suite struct HelloServerTests {
    private func post(_ message: JSON, _ session: String? = nil) -> HelloServer.Request {
        HelloServer.Request(method: "POST", session: session, body: Array("\(message)".utf8))
    }

    private func request(_ method: String, _ parameters: JSON = [:]) -> JSON {
        ["jsonrpc": "2.0", "id": 7, "method": .string(method), "params": parameters]
    }

    private func begin(_ server: HelloServer) throws -> String {
        guard case .message(let message, let session) = server.answer(post(request("initialize"))) else {
            throw DemoError("no message")
        }
        #expect(message["id"] == 7)
        #expect(message["result"]?["protocolVersion"]?.text == HelloServer.protocolVersion)
        return try #require(session)
    }

    @Test func aSessionFromBeginToEnd() throws {
        let server = HelloServer()
        let session = try begin(server)
        #expect(server.answer(post(["jsonrpc": "2.0", "method": "notifications/initialized"], session)) == .accepted)
        guard case .message(let list, nil) = server.answer(post(request("tools/list"), session)) else {
            throw DemoError("no message")
        }
        #expect(list["result"]?["tools"]?.elements?.count == 1)
        #expect(server.answer(.init(method: "DELETE", session: session)) == .ended)
        #expect(
            server.answer(post(request("tools/list"), session)) == .refused(status: 404, reason: "no such session"))
    }

    @Test func progressIsStreamedWhereItIsAskedFor() throws {
        let server = HelloServer()
        let session = try begin(server)
        let call: JSON = ["name": "hello", "arguments": ["name": "you"]]
        guard case .events(let plain) = server.answer(post(request("tools/call", call), session)) else {
            throw DemoError("no events")
        }
        #expect(plain.count == 1)
        #expect(plain.last?["result"]?["content"]?.elements?.first?["text"]?.text == "Hello, you!")

        let withToken: JSON = ["name": "hello", "arguments": ["name": "you"], "_meta": ["progressToken": "t"]]
        guard case .events(let events) = server.answer(post(request("tools/call", withToken), session)) else {
            throw DemoError("no events")
        }
        #expect(events.count == 2 && events.last == plain.last)
        #expect(events.first?["params"]?["progressToken"] == "t" && events.first?["id"] == nil)
    }

    @Test func callsThatCannotBeAnsweredAreErrors() throws {
        let server = HelloServer()
        let session = try begin(server)
        for (message, code) in [
            (request("tools/call", ["name": "other"]), "-32602"), (request("tools/call", ["name": "hello"]), "-32602"),
            (request("resources/list"), "-32601"),
        ] {
            guard case .message(let answer, nil) = server.answer(post(message, session)) else {
                throw DemoError("no message")
            }
            #expect(answer["error"]?["code"] == .number(code) && answer["id"] == 7)
        }
    }

    @Test func whatIsNoRequestOfTheSessionIsRefused() throws {
        let server = HelloServer()
        let list = request("tools/list")
        #expect(server.answer(post(list)) == .refused(status: 400, reason: "Mcp-Session-Id is missing"))
        let session = try begin(server)
        #expect(server.answer(post(list, "other")) == .refused(status: 404, reason: "no such session"))
        #expect(server.answer(.init(method: "DELETE")) == .refused(status: 400, reason: "Mcp-Session-Id is missing"))
        let get = HelloServer.Request(method: "GET", session: session)
        #expect(server.answer(get) == .refused(status: 405, reason: "POST or DELETE"))
        for body in ["", "[]", "{}", #"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, #"{"jsonrpc":"2.0","id":1}"#] {
            let request = HelloServer.Request(method: "POST", session: session, body: Array(body.utf8))
            #expect(server.answer(request) == .refused(status: 400, reason: "not a JSON-RPC request"))
        }
    }
}
