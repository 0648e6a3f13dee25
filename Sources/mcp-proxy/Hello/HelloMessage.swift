/// A JSON-RPC request or a notification, as far as the sample server reads it.
struct HelloMessage: Decodable {
    struct Parameters: Decodable {
        struct Arguments: Decodable { let name: String? }
        struct Meta: Decodable {
            let progressToken: HelloID?
            let protocolVersion: String?
            let clientCapabilities: Capabilities?

            private enum CodingKeys: String, CodingKey {
                case progressToken
                case protocolVersion = "io.modelcontextprotocol/protocolVersion"
                case clientCapabilities = "io.modelcontextprotocol/clientCapabilities"
            }
        }
        /// What a client can be asked for.
        struct Capabilities: Decodable {
            struct Present: Decodable {}
            let elicitation: Present?
        }
        /// What a client wants to hear of.
        struct Filter: Decodable { let toolsListChanged: Bool? }
        /// What a client's user has said.
        struct Input: Decodable {
            struct Content: Decodable { let name: String? }
            let action: String
            let content: Content?
        }
        let name: String?
        let arguments: Arguments?
        let protocolVersion: String?
        let notifications: Filter?
        let inputResponses: [String: Input]?
        let _meta: Meta?
    }
    let jsonrpc: String
    let id: HelloID?
    let method: String
    let params: Parameters?
}

/// The id of a request, or a progress token: both come back as they came.
enum HelloID: Decodable, CustomStringConvertible {
    case none
    case number(Int)
    case text(String)

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        self = try (try? value.decode(Int.self)).map { .number($0) } ?? .text(value.decode(String.self))
    }

    var description: String {
        switch self {
        case .none: "null"
        case .number(let number): "\(number)"
        case .text(let text): HelloServer.quoted(text)
        }
    }
}
