import Testing

@testable import mcp_proxy

@Suite struct HelloServerTests {
    private let server = HelloServer()

    private func post(_ body: String, _ fields: [String: String] = [:]) -> HelloServer.Response {
        server.respond(to: HelloServer.Request(fields: fields, body: Array(body.utf8)))
    }

    /// A request with id 7.
    private func ask(
        _ method: String, _ params: String = "{}", _ fields: [String: String] = [:]
    ) -> HelloServer.Response {
        post(#"{"jsonrpc":"2.0","id":7,"method":"\#(method)","params":\#(params)}"#, fields)
    }

    /// The message and the session of a response with one message, and its status.
    private func message(_ response: HelloServer.Response) throws -> (String, session: String?, status: Int) {
        guard response.type == HelloServer.Response.json, response.messages.count == 1 else {
            throw DemoError("\(response)")
        }
        return (response.messages[0], response.session, response.status)
    }

    private func events(_ response: HelloServer.Response) throws -> [String] {
        guard response.isStream, response.status == 200 else { throw DemoError("\(response)") }
        return response.messages
    }

    private func begin(_ version: String = "2025-11-25") throws -> [String: String] {
        let (text, session, status) = try message(ask("initialize", #"{"protocolVersion":"\#(version)"}"#))
        #expect(status == 200 && text.hasPrefix(#"{"jsonrpc":"2.0","id":7,"result":{"protocolVersion":""#))
        return ["mcp-session-id": try #require(session)]
    }

    @Test(arguments: [
        ("2025-03-26", "2025-03-26"), ("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"),
        ("2024-11-05", "2025-11-25"), ("2026-07-28", "2025-11-25"), ("x", "2025-11-25"),
    ])
    func versionIsTheOneAskedForOrTheNewest(_ asked: String, _ agreed: String) throws {
        let (text, _, _) = try message(ask("initialize", #"{"protocolVersion":"\#(asked)"}"#))
        #expect(text.contains(#""protocolVersion":"\#(agreed)""#))
    }

    @Test func aSessionFromBeginToEnd() throws {
        let session = try begin()
        #expect(post(#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, session) == .init(status: 202))
        #expect(try message(ask("tools/list", "{}", session)).0.contains(#""tools":[{"name":"hello","#))
        #expect(try message(ask("ping", "{}", session)).0 == #"{"jsonrpc":"2.0","id":7,"result":{}}"#)
        #expect(server.respond(to: .init(method: "DELETE", fields: session)) == .init(status: 204))
        #expect(ask("tools/list", "{}", session) == .refused(404, "no such session"))
    }

    @Test func sessionsStandBesideEachOtherUpToALimit() throws {
        let first = try begin()
        let second = try begin()
        for _ in 2..<HelloServer.maxSessions { _ = try begin() }
        #expect(try message(ask("ping", "{}", first)).status == 200)
        _ = try begin()
        #expect(ask("ping", "{}", first) == .refused(404, "no such session"))
        #expect(try message(ask("ping", "{}", second)).status == 200)
    }

    @Test func progressIsStreamedWhereItIsAskedFor() throws {
        let session = try begin()
        let plain = try events(ask("tools/call", #"{"name":"hello","arguments":{"name":"y\"ou"}}"#, session))
        #expect(plain.count == 1 && plain[0].contains(#"[{"type":"text","text":"Hello, y\"ou!"}]"#))

        for token in [#""t""#, "5"] {
            let call = #"{"name":"hello","arguments":{"name":"y\"ou"},"_meta":{"progressToken":\#(token)}}"#
            let events = try events(ask("tools/call", call, session))
            #expect(events.count == 2 && events.last == plain.last)
            #expect(events[0].contains(#""progressToken":\#(token),"#) && !events[0].contains(#""id""#))
        }
    }

    @Test(arguments: [
        ("application/json, text/event-stream", true, true), ("*/*", true, true), ("text/*", false, true),
        ("Application/JSON", true, false), ("text/event-stream", false, true), ("application/*;q=0.5", true, false),
    ])
    func formIsTheOneThatIsAccepted(_ accept: String, _ json: Bool, _ stream: Bool) throws {
        var fields = try begin()
        fields["accept"] = accept
        let call = #"{"name":"hello","arguments":{"name":"you"},"_meta":{"progressToken":"t"}}"#
        for (method, params, prefersStream) in [("tools/call", call, true), ("ping", "{}", false)] {
            let response = ask(method, params, fields)
            #expect(response.status == 200 && response.messages.last?.contains(#""id":7,"result""#) == true)
            #expect(response.isStream ? stream && (prefersStream || !json) : json && !(prefersStream && stream))
            #expect(response.messages.count == (response.isStream && prefersStream ? 2 : 1))
        }
        fields["accept"] = "text/html"
        #expect(
            ask("ping", "{}", fields) == .refused(406, "application/json or text/event-stream"))
    }

    @Test func idsComeBackAsTheyCame() throws {
        let session = try begin()
        for id in ["0", "-3", #""a\"b""#, #""server-discover-probe-1""#] {
            let (text, _, _) = try message(post(#"{"jsonrpc":"2.0","id":\#(id),"method":"ping"}"#, session))
            #expect(text == #"{"jsonrpc":"2.0","id":\#(id),"result":{}}"#)
        }
    }

    @Test func callsThatCannotBeServedAreErrors() throws {
        let session = try begin()
        for (method, params, code) in [
            ("tools/call", #"{"name":"other"}"#, -32602), ("tools/call", #"{"name":"hello"}"#, -32602),
            ("resources/list", "{}", -32601),
        ] {
            let (text, _, status) = try message(ask(method, params, session))
            #expect(text.contains(#""id":7,"error":{"code":\#(code),"#) && status == 200)
        }
    }

    @Test func whatIsNoRequestOfTheSessionIsRefused() throws {
        #expect(ask("tools/list") == .refused(400, "Mcp-Session-Id is missing"))
        let session = try begin()
        #expect(ask("tools/list", "{}", ["mcp-session-id": "x"]) == .refused(404, "no such session"))
        let delete = server.respond(to: .init(method: "DELETE"))
        #expect(delete == .refused(400, "Mcp-Session-Id is missing"))
        let get = server.respond(to: .init(method: "GET", fields: session))
        #expect(get == .refused(405, "no such method", allow: "POST, DELETE"))
        let form = session.merging(["content-type": "text/plain"]) { $1 }
        #expect(ask("ping", "{}", form) == .refused(415, "application/json"))
        for body in [
            "", "[]", "{}", #"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, #"{"jsonrpc":"2.0","id":1}"#, "\u{0}", "nul",
            #"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, #"{"jsonrpc":"2.0","id":[],"method":"ping"}"#,
            #"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, String(repeating: "[", count: 60_000),
        ] {
            let refusal = HelloServer.Response.refused(400, "not a JSON-RPC request")
            #expect(post(body, session) == refusal, "\(body.prefix(80))")
        }
    }

    // MARK: Without sessions

    private static let meta =
        #""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#
        + #""io.modelcontextprotocol/clientCapabilities":{}}"#

    private func fields(_ method: String, _ name: String? = nil) -> [String: String] {
        var fields = ["mcp-protocol-version": "2026-07-28", "mcp-method": method]
        fields["mcp-name"] = name
        return fields
    }

    @Test func eachRequestStandsForItself() throws {
        let discovered = try message(ask("server/discover", "{\(Self.meta)}", fields("server/discover")))
        #expect(discovered.0.contains(#""supportedVersions":["2026-07-28"]"#) && discovered.session == nil)
        #expect(try message(ask("tools/list", "{\(Self.meta)}", fields("tools/list"))).status == 200)
        let call = #"{"name":"hello","arguments":{"name":"you"},\#(Self.meta)}"#
        let events = try events(ask("tools/call", call, fields("tools/call", "hello")))
        #expect(events[0].contains("Hello, you!") && events[0].contains(#""resultType":"complete""#))
        for method in ["GET", "DELETE"] {
            let response = server.respond(to: .init(method: method, fields: ["mcp-protocol-version": "2026-07-28"]))
            #expect(response == .refused(405, "no such method", allow: "POST"))
        }
        let notification = #"{"jsonrpc":"2.0","method":"notifications/x","params":{\#(Self.meta)}}"#
        #expect(post(notification, fields("notifications/x")) == .init(status: 202))
    }

    /// Also as an event, where a client takes nothing else; and ids of any kind come back in it.
    @Test func discoveryHasBothForms() throws {
        for id in [#""server-discover-probe-1""#, "0"] {
            let body = #"{"jsonrpc":"2.0","id":\#(id),"method":"server/discover","params":{\#(Self.meta)}}"#
            let asJSON = try message(post(body, fields("server/discover"))).0
            #expect(asJSON.hasPrefix(#"{"jsonrpc":"2.0","id":\#(id),"result":{"resultType":"complete","#))
            var accept = fields("server/discover")
            accept["accept"] = "text/event-stream"
            #expect(try events(post(body, accept)) == [asJSON])
        }
    }

    @Test func listeningIsAcknowledgedAndEndsWithAResult() throws {
        for (filter, honoured) in [
            (#"{"toolsListChanged":true,"promptsListChanged":true}"#, #"{"toolsListChanged":true}"#), ("{}", "{}"),
        ] {
            let params = #"{"notifications":\#(filter),\#(Self.meta)}"#
            let response = ask("subscriptions/listen", params, fields("subscriptions/listen"))
            let mark = #"{"io.modelcontextprotocol/subscriptionId":7}"#
            let acknowledged =
                #"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","#
                + #""params":{"_meta":\#(mark),"notifications":\#(honoured)}}"#
            #expect(try events(response) == [acknowledged])
            let last = #"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","_meta":\#(mark)}}"#
            #expect(response.last == last)
        }
        var json = fields("subscriptions/listen")
        json["accept"] = "application/json"
        let refusal = ask("subscriptions/listen", #"{"notifications":{},\#(Self.meta)}"#, json)
        #expect(refusal == .refused(406, "text/event-stream"))
        // There it is a method as unknown as any other.
        #expect(try message(ask("subscriptions/listen", "{}", begin())).0.contains(#""code":-32601,"#))
    }

    @Test func aMissingNameIsAskedForWhereTheClientCan() throws {
        let call = fields("tools/call", "hello")
        func ask(_ members: String, _ meta: String = Self.meta) throws -> (String, session: String?, status: Int) {
            try message(self.ask("tools/call", "{\"name\":\"hello\",\(members)\(meta)}", call))
        }
        let (error, _, status) = try ask("")
        #expect(error.contains(#""code":-32021,"#) && status == 400)
        #expect(error.hasSuffix(#""data":{"requiredCapabilities":{"elicitation":{}}}}}"#))

        let able = Self.meta.replacing(#"clientCapabilities":{}"#, with: #"clientCapabilities":{"elicitation":{}}"#)
        let (question, _, asked) = try ask("", able)
        #expect(asked == 200 && question.contains(#""resultType":"input_required","inputRequests":{"name":{"#))
        for (reply, name) in [
            (#"{"action":"accept","content":{"name":"you"}}"#, "you"), (#"{"action":"decline"}"#, "stranger"),
        ] {
            let params = #"{"name":"hello","inputResponses":{"name":\#(reply)},\#(able)}"#
            #expect(try events(self.ask("tools/call", params, call))[0].contains("Hello, \(name)!"))
        }
        // Without sessions alone: before, a server asks in another way.
        let legacy = try message(self.ask("tools/call", #"{"name":"hello"}"#, begin()))
        #expect(legacy.0.contains(#""code":-32602,"#))
    }

    @Test(arguments: ["mcp-protocol-version", "mcp-method", "mcp-name"])
    func fieldsThatRouteAMessageStandOnce(_ name: String) throws {
        let body = #"{"jsonrpc":"2.0","id":7,"method":"ping","params":{\#(Self.meta)}}"#
        var request = HelloServer.Request(fields: fields("ping", "x"), body: Array(body.utf8))
        #expect(server.respond(to: request).status == 200)
        request.repeated = ["accept", name]
        let (text, _, status) = try message(server.respond(to: request))
        #expect(status == 400 && text.contains(#""code":-32020,"message":"\#(name) appears more than once""#))
    }

    @Test func fieldsAndBodyMustAgree() throws {
        let whole = "{\(Self.meta)}"
        let call = #"{"name":"hello","arguments":{"name":"you"},\#(Self.meta)}"#
        let half = whole.replacing(#","io.modelcontextprotocol/clientCapabilities":{}"#, with: "")
        let old = whole.replacing("2026-07-28", with: "2027-01-01")
        var newer = fields("ping")
        newer["mcp-protocol-version"] = "2027-01-01"
        var without = fields("ping")
        without["mcp-protocol-version"] = nil
        for (method, params, fields, code, status) in [
            ("ping", "{}", fields("ping"), -32602, 400),
            ("ping", half, fields("ping"), -32602, 400),
            ("ping", whole, fields("tools/list"), -32020, 400), ("ping", whole, without, -32020, 400),
            ("ping", old, fields("ping"), -32020, 400), ("ping", old, newer, -32022, 400),
            ("tools/call", call, fields("tools/call"), -32020, 400),
            ("tools/call", call, fields("tools/call", "other"), -32020, 400),
            ("resources/list", whole, fields("resources/list"), -32601, 404),
        ] {
            let (text, _, found) = try message(ask(method, params, fields))
            let hasCode = text.contains(#""id":7,"error":{"code":\#(code),"#)
            #expect(hasCode && found == status, "\(method) \(fields) \(text)")
        }
        let (text, _, _) = try message(ask("ping", old, newer))
        #expect(text.hasSuffix(#""data":{"supported":["2026-07-28"],"requested":"2027-01-01"}}}"#))
    }
}
