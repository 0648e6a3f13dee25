import FoundationEssentials

/// A JSON-RPC response, as far as a handshake needs it. What has another type than expected counts as missing.
struct MCPMessage: Decodable, Sendable {
    var id: String?
    var result: Result?
    var error: Failure?

    struct Result: Decodable, Sendable {
        /// Of `server/discover`.
        var supportedVersions: [String] = []
        /// Of `initialize`.
        var protocolVersion: String?
        /// For example `hello-server 1.2`.
        var server: String?
        /// Of `tools/list`.
        var tools: [String]?
    }

    struct Failure: Decodable, Sendable {
        var code = 0
        var message = ""
        /// Of an error that tells which versions there are instead.
        var supportedVersions: [String] = []

        /// MCP 2026-07-28: the fields of the head are not what the body says.
        static let headerMismatch = -32020
        static let missingCapability = -32021
        static let unsupportedVersion = -32022
        /// Whether a server of 2026-07-28 speaks. Any other error may come from an older one that does not know the method.
        var isModern: Bool { (Self.unsupportedVersion...Self.headerMismatch).contains(code) }
    }

    /// The message with the id `id` in a response: its JSON body, or an event of its stream.
    static func find(_ id: String, in response: MCPResponse) -> MCPMessage? {
        let documents = response.isEventStream ? events(response.body) : [response.body]
        let messages = documents.lazy.compactMap { try? JSONDecoder().decode(MCPMessage.self, from: Data($0)) }
        // An error may have no id where the server could not read it.
        return messages.first {
            ($0.id == id && ($0.result != nil || $0.error != nil)) || ($0.id == nil && $0.error != nil)
        }
    }

    /// The data of each whole event of an event stream (WHATWG HTML §9.2.6).
    static func events(_ stream: [UInt8]) -> [[UInt8]] {
        var events: [[UInt8]] = []
        var data: [[UInt8]] = []
        for var line in stream.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast() {
            if line.last == 0x0D { line = line.dropLast() }
            if line.isEmpty {
                if !data.isEmpty { events.append(Array(data.joined(separator: [0x0A]))) }
                data = []
            } else if line.starts(with: Array("data:".utf8)) {
                line = line.dropFirst(5)
                data.append(Array(line.first == 0x20 ? line.dropFirst() : line))
            }
        }
        return events
    }

    // MARK: Reading

    private enum CodingKeys: CodingKey { case id, result, error }

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        if let number = try? values.decode(Int.self, forKey: .id) { id = "\(number)" }
        if let text = try? values.decode(String.self, forKey: .id) { id = text }
        result = try? values.decode(Result.self, forKey: .result)
        error = try? values.decode(Failure.self, forKey: .error)
    }
}

extension MCPMessage.Result {
    private struct Server: Decodable { let name: String, version: String? }
    private struct Tool: Decodable { let name: String }
    private struct Meta: Decodable {
        let server: Server?
        private enum CodingKeys: String, CodingKey { case server = "io.modelcontextprotocol/serverInfo" }
    }
    private enum CodingKeys: CodingKey { case supportedVersions, protocolVersion, serverInfo, tools, _meta }

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        supportedVersions = (try? values.decode([String].self, forKey: .supportedVersions)) ?? []
        protocolVersion = try? values.decode(String.self, forKey: .protocolVersion)
        tools = (try? values.decode([Tool].self, forKey: .tools))?.map(\.name)
        let info =
            (try? values.decode(Server.self, forKey: .serverInfo))
            ?? (try? values.decode(Meta.self, forKey: ._meta))?.server
        server = info.map { [$0.name, $0.version ?? ""].filter { !$0.isEmpty }.joined(separator: " ") }
    }
}

extension MCPMessage.Failure {
    private struct Details: Decodable { let supported: [String]? }
    private enum CodingKeys: CodingKey { case code, message, data }

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        code = try values.decode(Int.self, forKey: .code)
        message = (try? values.decode(String.self, forKey: .message)) ?? ""
        supportedVersions = (try? values.decode(Details.self, forKey: .data))?.supported ?? []
    }
}
