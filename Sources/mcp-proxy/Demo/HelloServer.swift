import Synchronization
import TunnelProxy

/// The smallest MCP server that is one: streamable HTTP with sessions, one tool. HTTP and sockets are elsewhere.
final class HelloServer: Sendable {
    static let protocolVersion = "2025-11-25"

    struct Request {
        var method: String
        /// `Mcp-Session-Id`.
        var session: String?
        var body: [UInt8] = []
    }

    enum Answer: Equatable {
        /// 200 with one message, and the session's name when it begins.
        case message(JSON, session: String? = nil)
        /// 200 as `text/event-stream`, one message an event.
        case events([JSON])
        /// 202, for what needs no message in return.
        case accepted
        /// 204, when the session was ended.
        case ended
        case refused(status: Int, reason: String)
    }

    /// The only session at a time.
    private let session = Mutex<String?>(nil)

    func answer(_ request: Request) -> Answer {
        switch request.method {
        case "POST":
            guard let message = JSONReader.read(request.body), message["jsonrpc"]?.text == "2.0",
                let method = message["method"]?.text
            else { return .refused(status: 400, reason: "not a JSON-RPC request") }
            if method == "initialize", let id = message["id"] { return begin(id) }
            if let refusal = check(request.session) { return refusal }
            guard let id = message["id"] else { return .accepted }
            return call(method, id, message["params"] ?? .null)
        case "DELETE":
            if let refusal = check(request.session) { return refusal }
            session.withLock { $0 = nil }
            return .ended
        default: return .refused(status: 405, reason: "POST or DELETE")
        }
    }

    private func begin(_ id: JSON) -> Answer {
        let name = (0..<4).map { _ in String(UInt32.random(in: 0x1000_0000 ... .max), radix: 16) }.joined()
        session.withLock { $0 = name }
        let result: JSON = [
            "protocolVersion": .string(Self.protocolVersion), "capabilities": ["tools": [:]],
            "serverInfo": ["name": "hello-server", "version": .string(TunnelProxyVersion.current)],
        ]
        return .message(["jsonrpc": "2.0", "id": id, "result": result], session: name)
    }

    private func check(_ name: String?) -> Answer? {
        guard let name else { return .refused(status: 400, reason: "Mcp-Session-Id is missing") }
        guard session.withLock({ $0 }) == name else { return .refused(status: 404, reason: "no such session") }
        return nil
    }

    private func call(_ method: String, _ id: JSON, _ parameters: JSON) -> Answer {
        switch method {
        case "ping": return .message(["jsonrpc": "2.0", "id": id, "result": [:]])
        case "tools/list":
            let name: JSON = ["type": "string", "description": "who is greeted"]
            let schema: JSON = ["type": "object", "properties": ["name": name], "required": ["name"]]
            let tool: JSON = ["name": "hello", "description": "Greets somebody.", "inputSchema": schema]
            return .message(["jsonrpc": "2.0", "id": id, "result": ["tools": [tool]]])
        case "tools/call":
            guard parameters["name"]?.text == "hello", let name = parameters["arguments"]?["name"]?.text else {
                return .message(Self.error(id, -32602, "the only tool is hello, and it needs a name"))
            }
            return greet(name, id, token: parameters["_meta"]?["progressToken"])
        default: return .message(Self.error(id, -32601, "no such method"))
        }
    }

    /// As a stream of two events where the caller wants to hear of the progress.
    private func greet(_ name: String, _ id: JSON, token: JSON?) -> Answer {
        let text: JSON = ["type": "text", "text": .string("Hello, \(name)!")]
        let result: JSON = ["jsonrpc": "2.0", "id": id, "result": ["content": [text], "isError": false]]
        guard let token else { return .events([result]) }
        let parameters: JSON = ["progressToken": token, "progress": 1, "total": 2, "message": "thinking of words"]
        return .events([["jsonrpc": "2.0", "method": "notifications/progress", "params": parameters], result])
    }

    private static func error(_ id: JSON, _ code: Int, _ message: String) -> JSON {
        ["jsonrpc": "2.0", "id": id, "error": ["code": .number(String(code)), "message": .string(message)]]
    }
}
