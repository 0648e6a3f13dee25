/// One call of the Tunnels API, of which the generation is not known yet.
struct APICall: Sendable {
    /// What a 404 is about.
    enum Subject: Sendable { case tunnels, tunnel, certificate }

    /// As it follows "cannot".
    var operation: String
    var method: String
    /// Behind ``APIGeneration/basePath``: empty or with a leading `/`.
    var path = ""
    /// With its `?`, or empty.
    var query = ""
    var subject = Subject.tunnel
    /// In JSON; `nil` for none.
    var body: [UInt8]?
    var repetition = RetryPolicy.Repetition.always
    /// Whether it changes something on the server.
    var changes = false
    var addsCertificate = false
    /// What to do when nobody knows whether it was carried out.
    var ambiguityRemedy: String?

    static func read(_ operation: String, _ path: String, query: String = "", _ subject: Subject = .tunnel) -> APICall {
        APICall(operation: operation, method: "GET", path: path, query: query, subject: subject)
    }

    static func change(
        _ operation: String, _ path: String, _ subject: Subject = .tunnel, body: [UInt8]? = nil
    ) -> APICall {
        APICall(operation: operation, method: "POST", path: path, subject: subject, body: body, changes: true)
    }
}
