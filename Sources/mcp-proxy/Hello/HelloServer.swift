import FoundationEssentials
import Synchronization
import TunnelCLI

/// The smallest MCP server that clients of today and of yesterday take for one: streamable HTTP with one tool, with
/// sessions (2025-03-26 to 2025-11-25) and without (2026-07-28). HTTP itself and sockets are in ``HelloListener``.
///
/// Without sessions it also has what is new there: `subscriptions/listen`, and a tool that asks for what it lacks.
final class HelloServer: Sendable {
    static let path = "/mcp"
    /// Those that begin with `initialize`; the last one is offered to a client that asks for another.
    static let sessionVersions = ["2025-03-26", "2025-06-18", "2025-11-25"]
    /// Where each request stands for itself.
    static let version = "2026-07-28"
    /// The oldest session makes room for a new one.
    static let maxSessions = 1000

    struct Request {
        var method = "POST"
        /// By names in lower case.
        var fields: [String: String] = [:]
        /// A name that came more than once. Where it tells the route of a message, nobody knows which of them counts.
        var repeated: Set<String> = []
        var body: [UInt8] = []
    }

    struct Response: Equatable {
        static let (json, events, text) = ("application/json", "text/event-stream", "text/plain")
        var status = 200
        var type = json
        /// One is a body; in a stream each is an event.
        var messages: [String] = []
        /// The name of a session that begins.
        var session: String?
        /// The methods that there are instead.
        var allow: String?
        /// The event that ends a stream which stays open behind `messages`, until the server or the client has enough.
        var last: String?
        var isStream: Bool { type == Self.events }

        static func refused(_ status: Int, _ reason: String, allow: String? = nil) -> Response {
            Response(status: status, type: text, messages: ["\(reason)\n"], allow: allow)
        }
    }

    private let sessions = Mutex<[String]>([])

    func respond(to request: Request) -> Response {
        let accept = (request.fields["accept"] ?? "*/*").lowercased()
        let wantsJSON = ["application/json", "application/*", "*/*"].contains { accept.contains($0) }
        let wantsEvents = ["text/event-stream", "text/*", "*/*"].contains { accept.contains($0) }
        guard wantsJSON || wantsEvents else { return .refused(406, "application/json or text/event-stream") }
        var response = process(request)
        if response.last != nil, !wantsEvents {
            return .refused(406, "text/event-stream")
        } else if response.isStream, !wantsEvents {
            // Whoever takes no stream gets no progress.
            (response.type, response.messages) = (Response.json, response.messages.suffix(1))
        } else if response.type == Response.json, !wantsJSON, response.status == 200 {
            response.type = Response.events
        }
        return response
    }

    private func process(_ request: Request) -> Response {
        let version = request.fields["mcp-protocol-version"]
        switch request.method {
        case "POST": break
        case "DELETE" where version != Self.version: return end(request.fields["mcp-session-id"])
        default:
            return .refused(405, "no such method", allow: version == Self.version ? "POST" : "POST, DELETE")
        }
        if let type = request.fields["content-type"], !type.lowercased().hasPrefix("application/json") {
            return .refused(415, "application/json")
        }
        guard let message = try? JSONDecoder().decode(HelloMessage.self, from: Data(request.body)),
            message.jsonrpc == "2.0"
        else { return .refused(400, "not a JSON-RPC request") }
        let isStateless = version == Self.version || message.params?._meta?.protocolVersion != nil
        if isStateless {
            if let refusal = Self.check(message, request) { return refusal }
        } else if message.method == "initialize", let id = message.id {
            return begin(id, message.params?.protocolVersion)
        } else if let refusal = check(session: request.fields["mcp-session-id"]) {
            return refusal
        }
        guard let id = message.id else { return Response(status: 202) }
        return isStateless ? callAlone(message, id) : call(message, id, unknown: 200)
    }

    // MARK: Sessions

    private func begin(_ id: HelloID, _ asked: String?) -> Response {
        let name = (0..<4).map { _ in String(UInt32.random(in: 0x1000_0000 ... .max), radix: 16) }.joined()
        sessions.withLock { sessions in
            if sessions.count >= Self.maxSessions { sessions.removeFirst() }
            sessions.append(name)
        }
        let version = Self.sessionVersions.last { $0 == asked } ?? Self.sessionVersions[2]
        let result = #"{"protocolVersion":"\#(version)","capabilities":{"tools":{}},"serverInfo":\#(Self.serverInfo)}"#
        return Response(messages: [Self.result(id, result)], session: name)
    }

    private func end(_ name: String?) -> Response {
        if let refusal = check(session: name) { return refusal }
        sessions.withLock { sessions in sessions.removeAll { $0 == name } }
        return Response(status: 204)
    }

    private func check(session name: String?) -> Response? {
        guard let name else { return .refused(400, "Mcp-Session-Id is missing") }
        guard sessions.withLock({ $0.contains(name) }) else { return .refused(404, "no such session") }
        return nil
    }

    // MARK: Without sessions

    /// The fields of a 2026-07-28 request repeat what its body says, and must not say anything else.
    private static func check(_ message: HelloMessage, _ request: Request) -> Response? {
        let fields = request.fields
        guard let meta = message.params?._meta, let named = meta.protocolVersion, meta.clientCapabilities != nil else {
            // A notification has nothing that an error could be sent for.
            return message.id.map { error($0, -32602, "_meta lacks the protocol version or the capabilities") }
        }
        let id = message.id ?? .none
        if let name = routing.first(where: request.repeated.contains) {
            return error(id, -32020, "\(name) appears more than once")
        }
        let mirrors = [
            ("mcp-protocol-version", named), ("mcp-method", message.method),
            ("mcp-name", message.method == "tools/call" ? message.params?.name : fields["mcp-name"]),
        ]
        for (field, value) in mirrors where fields[field] != value {
            return error(id, -32020, "\(field) is not what the body says")
        }
        guard named == version else {
            let data = #"{"supported":["\#(version)"],"requested":\#(quoted(named))}"#
            return error(id, -32022, "unsupported protocol version", data: data)
        }
        return nil
    }

    private static let routing = ["mcp-protocol-version", "mcp-method", "mcp-name"]

    private func callAlone(_ message: HelloMessage, _ id: HelloID) -> Response {
        switch message.method {
        case "server/discover":
            let result = """
                {"resultType":"complete","supportedVersions":["\(Self.version)"],\
                "capabilities":{"tools":{"listChanged":true}},"ttlMs":0,"cacheScope":"public",\
                "_meta":{"io.modelcontextprotocol/serverInfo":\(Self.serverInfo)}}
                """
            return Response(messages: [Self.result(id, result)])
        case "subscriptions/listen": return listen(id, message.params?.notifications)
        case "tools/call" where message.params?.name == "hello" && message.params?.arguments?.name == nil:
            return askForName(message, id)
        default: return call(message, id, unknown: 404)
        }
    }

    /// A stream that says what it will tell of, and then nothing, because this server's list of tools never changes.
    private func listen(_ id: HelloID, _ filter: HelloMessage.Parameters.Filter?) -> Response {
        let honoured = filter?.toolsListChanged == true ? #"{"toolsListChanged":true}"# : "{}"
        let mark = #""io.modelcontextprotocol/subscriptionId":\#(id)"#
        let params = #"{"_meta":{\#(mark)},"notifications":\#(honoured)}"#
        let first = #"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":\#(params)}"#
        let last = #"{"resultType":"complete","_meta":{\#(mark)}}"#
        return Response(type: Response.events, messages: [first], last: Self.result(id, last))
    }

    /// The tool lacks an argument that the client's user may know. The client asks, and calls again with the answer.
    private func askForName(_ message: HelloMessage, _ id: HelloID) -> Response {
        let token = message.params?._meta?.progressToken
        if let input = message.params?.inputResponses?["name"] {
            let name = input.action == "accept" ? input.content?.name : nil
            return greet(name ?? "stranger", id, token: token)
        }
        guard message.params?._meta?.clientCapabilities?.elicitation != nil else {
            let data = #"{"requiredCapabilities":{"elicitation":{}}}"#
            return Self.error(id, -32021, "hello needs a name, or a client that asks for one", data: data)
        }
        let schema = #"{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}"#
        let ask = #"{"mode":"form","message":"Who is to be greeted?","requestedSchema":\#(schema)}"#
        let requests = #"{"name":{"method":"elicitation/create","params":\#(ask)}}"#
        return Response(messages: [Self.result(id, #"{"resultType":"input_required","inputRequests":\#(requests)}"#)])
    }

    // MARK: Methods

    private func call(_ message: HelloMessage, _ id: HelloID, unknown status: Int) -> Response {
        let params = message.params
        switch message.method {
        case "ping": return Response(messages: [Self.result(id, "{}")])
        case "tools/list":
            let required = status == 200 ? #","required":["name"]"# : ""
            let result = """
                {"resultType":"complete","ttlMs":0,"cacheScope":"public","tools":[{"name":"hello",\
                "description":"Greets somebody.","inputSchema":{"type":"object","properties":{"name":\
                {"type":"string","description":"who is greeted"}}\(required)}}]}
                """
            return Response(messages: [Self.result(id, result)])
        case "tools/call":
            guard params?.name == "hello", let name = params?.arguments?.name else {
                return Self.error(id, -32602, "the only tool is hello, and it needs a name", status: 200)
            }
            return greet(name, id, token: params?._meta?.progressToken)
        default: return Self.error(id, -32601, "no such method", status: status)
        }
    }

    /// Two events where the caller wants to hear of the progress.
    private func greet(_ name: String, _ id: HelloID, token: HelloID?) -> Response {
        let content = #"[{"type":"text","text":\#(Self.quoted("Hello, \(name)!"))}]"#
        let result = Self.result(id, #"{"resultType":"complete","content":\#(content),"isError":false}"#)
        guard let token else { return Response(type: Response.events, messages: [result]) }
        let params = #"{"progressToken":\#(token),"progress":1,"total":2,"message":"thinking of words"}"#
        let progress = #"{"jsonrpc":"2.0","method":"notifications/progress","params":\#(params)}"#
        return Response(type: Response.events, messages: [progress, result])
    }

    // MARK: JSON

    private static let serverInfo = #"{"name":"hello-server","version":"\#(PackageVersion.current)"}"#

    private static func result(_ id: HelloID, _ result: String) -> String {
        #"{"jsonrpc":"2.0","id":\#(id),"result":\#(result)}"#
    }

    private static func error(
        _ id: HelloID, _ code: Int, _ message: String, data: String? = nil, status: Int = 400
    ) -> Response {
        let data = data.map { #","data":\#($0)"# } ?? ""
        let error = #"{"code":\#(code),"message":\#(quoted(message))\#(data)}"#
        return Response(status: status, messages: [#"{"jsonrpc":"2.0","id":\#(id),"error":\#(error)}"#])
    }

    static func quoted(_ text: String) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        // A string is always encoded.
        return (try? encoder.encode(text)).map { String(decoding: $0, as: UTF8.self) } ?? #""""#
    }
}
