import TunnelCLI

/// The requests of a handshake in both eras of MCP.
extension MCPRequest {
    /// What Claude's clients know, from the oldest.
    static let knownVersions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", modern]
    /// Without sessions: each request stands for itself.
    static let modern = "2026-07-28"
    /// The newest one that begins with `initialize`.
    static let legacy = "2025-11-25"

    static let discoverID = "server-discover-probe-1"

    static func discover(_ path: String) -> MCPRequest { modern("server/discover", id: discoverID, path) }

    static func initialize(_ path: String) -> MCPRequest {
        let client = #"{"name":"mcp-proxy","version":"\#(PackageVersion.current)"}"#
        let parameters = #"{"protocolVersion":"\#(legacy)","capabilities":{},"clientInfo":\#(client)}"#
        return post("initialize", id: "1", parameters, path, [])
    }

    /// - Parameter session: as the server named it and with the version that it chose; `nil` for a server without sessions.
    static func listTools(_ path: String, in session: MCPSession?) -> MCPRequest {
        guard let session else { return modern("tools/list", id: "2", path) }
        return post("tools/list", id: "2", "{}", path, session.fields)
    }

    static func initialized(_ path: String, in session: MCPSession) -> MCPRequest {
        post("notifications/initialized", id: nil, nil, path, session.fields)
    }

    static func end(_ session: MCPSession, _ path: String) -> MCPRequest {
        MCPRequest(method: "DELETE", path: path, fields: session.fields)
    }

    /// Asks for a stream. 405 is a healthy response.
    static func get(_ path: String, in session: MCPSession?, reads: Reads = .head) -> MCPRequest {
        let fields = session?.fields ?? [("MCP-Protocol-Version", modern)]
        return MCPRequest(method: "GET", path: path, fields: [("Accept", "text/event-stream")] + fields, reads: reads)
    }

    private static func modern(_ method: String, id: String, _ path: String) -> MCPRequest {
        let client = #"{"name":"mcp-proxy","version":"\#(PackageVersion.current)"}"#
        let key = "io.modelcontextprotocol"
        let meta =
            #"{"\#(key)/protocolVersion":"\#(modern)","\#(key)/clientInfo":\#(client),"\#(key)/clientCapabilities":{}}"#
        return post(
            method, id: id, #"{"_meta":\#(meta)}"#, path, [("MCP-Protocol-Version", modern), ("Mcp-Method", method)])
    }

    private static func post(
        _ method: String, id: String?, _ parameters: String?, _ path: String, _ fields: [(String, String)]
    ) -> MCPRequest {
        let id = id.map { Int($0) == nil ? #""\#($0)""# : $0 }
        let parts = [id.map { #""id":\#($0)"# }, #""method":"\#(method)""#, parameters.map { #""params":\#($0)"# }]
        let body = #"{"jsonrpc":"2.0",\#(parts.compactMap { $0 }.joined(separator: ","))}"#
        let types = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")]
        var request = MCPRequest(path: path, fields: types + fields, body: Array(body.utf8))
        // A server may keep the stream open behind the response.
        request.reads = .until { body in hasResponse(body) }
        return request
    }

    /// Bytes at the end of a stream that are looked at for the response. A server that sends piece by piece would otherwise have
    /// all of it read again for each.
    private static let window = 262_144

    /// Whether an event of the stream is the response: it has a result or an error, as no notification has.
    private static func hasResponse(_ stream: [UInt8]) -> Bool {
        // Only at the end of an event. By index: suffix(_:) of a sequence would copy its way through all of it.
        let count = stream.count
        guard count > 2, stream[count - 1] == 0x0A else { return false }
        let previous = stream[count - 2] == 0x0D ? count - 3 : count - 2
        guard stream[previous] == 0x0A else { return false }
        let end = Array(stream[max(0, count - window)...])
        let stand = MCPResponse(status: 200, fields: [("content-type", "text/event-stream")], body: end)
        return [discoverID, "1", "2"].contains { MCPMessage.find($0, in: stand) != nil }
    }
}

/// A session of the older era.
struct MCPSession {
    /// `nil` where the server has none and goes by the version alone.
    let id: String?
    let version: String

    var fields: [(String, String)] {
        [("MCP-Protocol-Version", version)] + (id.map { [("Mcp-Session-Id", $0)] } ?? [])
    }
}
