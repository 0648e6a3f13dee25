internal import FoundationEssentials

/// What a response other than success says, of which only what is meant to be read is kept.
///
/// From a JSON object that is an error of OAuth (RFC 6749 §5.2), `error`, `error_description` and `error_uri`; from one
/// in the envelope of Anthropic's API, type, message and request id. Everything else may hold what was sent.
package struct ServerMessage: Sendable {
    static let unreadable = "[redacted; not a JSON error response]"
    private static let maxNameCharacters = 200

    /// For example `permission_error`.
    package let type: String?
    package let message: String
    package let requestID: String?

    package init(_ response: HTTPResponse, _ redaction: Redaction) {
        let body = try? JSONDecoder().decode(ErrorBody.self, from: Data(response.body))
        let name = { (text: String) in redaction(text, limit: Self.maxNameCharacters) }
        type = body?.type.map(name)
        message = redaction(body?.message ?? Self.unreadable)
        requestID = (response.first("request-id") ?? body?.requestID).map(name)
    }
}

/// The two shapes of an error, distinguished by whether `error` is a text or an object.
private struct ErrorBody: Decodable {
    var type: String?
    var message: String
    var requestID: String?

    enum CodingKeys: String, CodingKey {
        case error, requestID = "request_id", errorDescription = "error_description", errorURI = "error_uri"
    }
    struct Detail: Decodable {
        var type: String?
        var message: String
    }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        requestID = try? fields.decodeIfPresent(String.self, forKey: .requestID)
        if let detail = try? fields.decode(Detail.self, forKey: .error) {
            (type, message) = (detail.type, detail.message)
            return
        }
        let code = try fields.decode(String.self, forKey: .error)
        let description = try? fields.decodeIfPresent(String.self, forKey: .errorDescription)
        let address = try? fields.decodeIfPresent(String.self, forKey: .errorURI)
        type = code
        message = [description ?? code, address.map { "(\($0))" }].compactMap { $0 }.joined(separator: " ")
    }
}
