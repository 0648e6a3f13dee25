import TunnelCLI
import TunnelProxy

/// What the demo says to the sample server, in both eras of MCP: with a session, and request by request.
extension Demo {
    /// What of a 2026-07-28 request stands in its body and in its fields.
    private static let meta = #"""
        "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",\#
        "io.modelcontextprotocol/clientInfo":{"name":"mcp-proxy-demo","version":"\#(PackageVersion.current)"},\#
        "io.modelcontextprotocol/clientCapabilities":{}}
        """#
    private static let maxBody = 1 << 20
    private static let sessionVersion = HelloServer.sessionVersions[2]

    /// One JSON-RPC request, or a notification, and what it travels with.
    private struct Call {
        let method: String
        /// A JSON object.
        var params = "{}"
        /// As JSON; `nil` for a notification.
        var id: String?
        var fields: [(name: String, value: String)] = []
        /// What the result must hold. The server is our own, and writes its JSON in one way.
        var expected = ""

        var message: String {
            guard let id else { return #"{"jsonrpc":"2.0","method":"\#(method)"}"# }
            return #"{"jsonrpc":"2.0","id":\#(id),"method":"\#(method)","params":\#(params)}"#
        }

        /// A request of a session.
        static func inSession(
            _ method: String, _ params: String, id: Int, _ session: String?, expecting expected: String
        ) -> Call {
            Call(method: method, params: params, id: "\(id)", fields: fields(session), expected: expected)
        }

        static func fields(_ session: String?) -> [(name: String, value: String)] {
            session.map { [("Mcp-Session-Id", $0), ("MCP-Protocol-Version", Demo.sessionVersion)] } ?? []
        }

        /// A request that stands for itself.
        ///
        /// - Parameter members: of its parameters, beside `_meta`; each ends with a comma.
        static func alone(
            _ method: String, _ members: String = "", name: String? = nil, id: String, expecting expected: String
        ) -> Call {
            var fields = [("MCP-Protocol-Version", HelloServer.version), ("Mcp-Method", method)]
            if let name { fields.append(("Mcp-Name", name)) }
            return Call(
                method: method, params: "{\(members)\(Demo.meta)}", id: id, fields: fields, expected: expected)
        }
    }

    // MARK: Both eras

    mutating func speakInSession(_ farSide: FarSide) async throws {
        story.note("MCP with a session, 2025-11-25 and before")
        let start = """
            {"protocolVersion":"\(Self.sessionVersion)","capabilities":{},\
            "clientInfo":{"name":"mcp-proxy-demo","version":"\(PackageVersion.current)"}}
            """
        let agreed = #""protocolVersion":"\#(Self.sessionVersion)""#
        let begun = try await make(.inSession("initialize", start, id: 1, nil, expecting: agreed), farSide)
        guard let session = begun["mcp-session-id"] else { throw DemoError("no session was begun") }
        story.begin("notifications/initialized")
        let fields = Call.fields(session)
        let notice = Call(method: "notifications/initialized", fields: fields)
        _ = try await send("POST", fields, notice.message, expecting: 202, farSide) { _ in }
        story.done("202")
        try await make(.inSession("tools/list", "{}", id: 2, session, expecting: #""name":"hello""#), farSide)
        let greet = #"{"name":"hello","arguments":{"name":"tunnel"},"_meta":{"progressToken":"p1"}}"#
        try await make(.inSession("tools/call", greet, id: 3, session, expecting: #""Hello, tunnel!""#), farSide)
        story.begin("DELETE")
        _ = try await send("DELETE", fields, nil, expecting: 204, farSide) { _ in }
        story.done("204, the session is over")
    }

    mutating func speakWithoutSession(_ farSide: FarSide, _ upstream: HelloListener) async throws {
        story.note("MCP without sessions, \(HelloServer.version)")
        let versions = #""supportedVersions":["\#(HelloServer.version)"]"#
        try await make(.alone("server/discover", id: #""discover-1""#, expecting: versions), farSide)
        let greet = #""name":"hello","arguments":{"name":"tunnel"},"#
        let greeting = Call.alone("tools/call", greet, name: "hello", id: #""call-1""#, expecting: #""Hello, tunnel!""#)
        try await make(greeting, farSide)
        let filter = #""notifications":{"toolsListChanged":true},"#
        let listen = Call.alone("subscriptions/listen", filter, id: #""listen-1""#, expecting: #""listen-1""#)
        // It would stay open for as long as both sides like. Here the server has enough once it has acknowledged.
        try await make(listen, farSide) { upstream.endSubscriptions() }
        story.begin("GET")
        _ = try await send(
            "GET", [("MCP-Protocol-Version", HelloServer.version)], nil, expecting: 405, farSide
        ) { _ in }
        story.done("405, as it must be: there are no other streams")
    }

    // MARK: One request

    /// Makes a call and shows it. Its response comes as the body or as the last event of a stream.
    ///
    /// - Parameter onEvent: called with each event's arrival.
    @discardableResult
    private mutating func make(
        _ call: Call, _ farSide: FarSide, onEvent: () -> Void = {}
    ) async throws -> FarSide.Response {
        story.begin(call.method)
        var events: [(time: Duration, data: String)] = []
        let story = story
        let (response, whole) = try await send("POST", call.fields, call.message, expecting: 200, farSide) {
            events.append((story.elapsed, $0))
            onEvent()
        }
        story.done(events.isEmpty ? "200, JSON" : "200, stream of \(events.count) event\(events.count == 1 ? "" : "s")")
        story.detail("-> \(call.message)")
        for event in events { story.detail(after: event.time, "<- \(event.data)") }
        let body = events.last?.data ?? whole
        if events.isEmpty { story.detail("<- \(body)") }
        guard body.hasPrefix(#"{"jsonrpc":"2.0","id":\#(call.id ?? ""),"result":"#), body.contains(call.expected) else {
            throw DemoError("not the response to \(call.method): \(body)")
        }
        return response
    }

    /// - Returns: the head and the body; of a stream the events go to `onEvent` instead.
    private mutating func send(
        _ method: String, _ fields: [(name: String, value: String)], _ message: String?, expecting status: UInt16,
        _ farSide: FarSide, _ onEvent: (String) -> Void
    ) async throws -> (FarSide.Response, String) {
        requests += 1
        var fields = [(name: "Accept", value: "application/json, text/event-stream")] + fields
        if message != nil { fields.append((name: "Content-Type", value: "application/json")) }
        var (events, body) = (EventReader(), [UInt8]())
        let response = try await farSide.exchange(
            method, HelloServer.path, fields: fields, body: Array((message ?? "").utf8)
        ) { response, piece in
            if response.isEventStream { events.take(piece).forEach(onEvent) } else { body += piece }
            guard body.count <= Self.maxBody else { throw DemoError("response over \(Self.maxBody) bytes") }
        }
        let text = String(decoding: body, as: UTF8.self)
        guard response.status == status else {
            throw DemoError("status \(response.status) in place of \(status): \(text.prefix(500))")
        }
        return (response, text)
    }
}
