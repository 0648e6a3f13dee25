/// Carries one request of a dialogue to an MCP server and its response back: straight to the server, or through a tunnel.
///
/// One exists so that `check` and `probe` hold the same dialogue. Whoever carries bounds the body (``MCPResponse/maxBody``)
/// and the time, sends Host itself, and throws where there is no response.
protocol MCPCarrier: AnyObject {
    func send(_ request: MCPRequest) async throws -> MCPResponse
}

struct MCPRequest {
    var method = "POST"
    var path: String
    /// Beside Host, User-Agent and Content-Length, which are the carrier's.
    var fields: [(name: String, value: String)] = []
    var body: [UInt8] = []
    var reads = Reads.all

    /// How much of the response is wanted. With less than all of it the connection is of no more use.
    enum Reads {
        case all
        case head
        /// Asked after each piece of the body, with all that has come of it.
        case until(@Sendable ([UInt8]) -> Bool)

        func isEnough(_ body: [UInt8]) -> Bool {
            switch self {
            case .all: false
            case .head: true
            case .until(let isEnough): isEnough(body)
            }
        }
    }
}

struct MCPResponse {
    /// Bytes of a body: far more than a handshake needs.
    static let maxBody = 1_048_576

    let status: Int
    /// In the order they came.
    let fields: [(name: String, value: String)]
    let body: [UInt8]

    /// The value of the first field of that name, which is given in lower case.
    subscript(name: String) -> String? { fields.first { $0.name.lowercased() == name }?.value }

    /// The media type in lower case, without parameters.
    var type: String {
        let value = self["content-type"]?.split(separator: ";").first ?? ""
        return value.filter { $0 != " " && $0 != "\t" }.lowercased()
    }

    var isEventStream: Bool { type == "text/event-stream" }
    var text: String { String(decoding: body, as: UTF8.self) }
}
