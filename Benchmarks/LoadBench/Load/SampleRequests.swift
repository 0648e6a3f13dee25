/// The requests that the load client sends, as bytes that are made once.
enum SampleRequests {
    static let callBody = Array(
        #"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add","arguments":{"a":19,"b":23}}}"#.utf8)

    /// A tools/call as an MCP client of streamable HTTP sends it.
    static func call(host: String, closes: Bool = false) -> [UInt8] {
        head("POST", "/mcp", host, closes: closes, length: callBody.count) + callBody
    }

    /// What the proxy answers by itself, and nginx too.
    static let refused = Array("GET /refused HTTP/1.1\r\nHost: zz\r\n\r\n".utf8)

    static func upload(host: String, length: Int) -> [UInt8] { head("POST", "/upload", host, length: length) }

    static func download(host: String, length: Int) -> [UInt8] { head("GET", "/download/\(length)", host) }

    /// - Parameter rate: events a second; 0 for a stream that stays silent behind its first event.
    static func events(host: String, rate: Int) -> [UInt8] { head("GET", "/events/\(rate)", host) }

    private static func head(
        _ method: String, _ path: String, _ host: String, closes: Bool = false, length: Int? = nil
    ) -> [UInt8] {
        var text = "\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\n" + fields(length: length)
        if closes { text += "Connection: close\r\n" }
        return Array((text + "\r\n").utf8)
    }

    /// What every version of HTTP sends.
    static func fields(length: Int?) -> String {
        var text = "Accept: application/json, text/event-stream\r\n"
        text += "Mcp-Session-Id: 5f2b1c9e8d7a4f60b3a1c2d4e5f60718\r\nMCP-Protocol-Version: 2025-11-25\r\n"
        if let length { text += "Content-Type: application/json\r\nContent-Length: \(length)\r\n" }
        return text
    }
}
