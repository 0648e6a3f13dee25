import TunnelAPI

/// A refusal with the status and type of the published table.
struct FakeError: Error {
    let status: Int
    let type: String
    let message: String

    init(_ status: Int, _ message: String) {
        (self.status, self.type, self.message) = (status, FakeError.type(of: status), message)
    }

    init(_ status: Int, type: String?, _ message: String) {
        (self.status, self.type, self.message) = (status, type ?? FakeError.type(of: status), message)
    }

    static func invalid(_ message: String) -> FakeError { FakeError(400, message) }
    static let notFound = FakeError(404, "Not found")
    /// The text is the published one.
    static func unknownBetas(_ values: [String]) -> FakeError {
        let names = values.map { "`\($0)`" }.joined(separator: ", ")
        return .invalid(
            "Unexpected value(s) \(names) for the `anthropic-beta` header. Please consult our documentation at "
                + "platform.claude.com/docs or try again without the header.")
    }

    static func type(of status: Int) -> String {
        switch status {
        case 401: "authentication_error"
        case 402: "billing_error"
        case 403: "permission_error"
        case 404: "not_found_error"
        case 409: "conflict_error"
        case 413: "request_too_large"
        case 429: "rate_limit_error"
        case 504: "timeout_error"
        case 529: "overloaded_error"
        case 500...: "api_error"
        default: "invalid_request_error"
        }
    }

    func envelope(requestID: String) -> FakeJSON {
        [
            "type": "error", "error": ["type": .string(type), "message": .string(message)],
            "request_id": .string(requestID), FakeState.futureField.name: FakeState.futureField.value,
        ]
    }
}
