/// Something that goes wrong with one or more of the requests to come.
///
/// The first fault in the list that fits a request takes it, so several can be queued for the same path.
public struct FakeFault: Sendable, Hashable, Encodable {
    public enum Kind: String, Sendable, CaseIterable, Codable {
        /// An error with the usual envelope.
        case answer
        /// The response's body is cut in half, with the length of the half: what comes is whole, but no JSON.
        case malformedJSON = "malformed_json"
        /// The response's body is filled up with spaces, which are JSON.
        case oversizedBody = "oversized_body"
        /// A page of HTML, as a proxy on the way sends it.
        case html
        /// No response, and no end of the connection.
        case stall
        /// No connection. A server that is there already resets it instead.
        case refuse
        /// The connection is reset before the request takes effect.
        case dropBefore = "drop_before"
        /// The connection is reset after the request has taken effect.
        case dropAfter = "drop_after"
        /// The connection ends in the middle of the response's body.
        case dropMidBody = "drop_mid_body"
        /// An error whose message repeats the request's body and its Authorization: no client may show it.
        case echo
    }

    public var kind: Kind
    /// The method that it is for; `nil` for any.
    public var method: String?
    /// The path that it is for: segments, of which `*` stands for any one, and `**` at the end for any rest. `nil` for
    /// any path.
    public var path: String?
    /// How many fitting requests to let pass first.
    public var skip = 0
    /// How many requests it takes.
    public var times = 1
    /// Whether the request takes effect all the same; `nil` for what is natural to the kind. ``Kind/refuse``,
    /// ``Kind/dropBefore`` and ``Kind/dropAfter`` say so themselves.
    public var acts: Bool?
    /// For ``Kind/answer``, ``Kind/html`` and ``Kind/echo``; `nil` for 500, 502 and 400.
    public var status: Int?
    /// The envelope's `error.type`; `nil` for the status's own.
    public var type: String?
    public var message: String?
    /// `retry-after`, as it is.
    public var retryAfter: String?
    /// `retry-after-ms`, as it is.
    public var retryAfterMilliseconds: String?
    /// `x-should-retry`.
    public var shouldRetry: Bool?
    /// The body's length for ``Kind/oversizedBody``, at most ``maxBodyBytes``.
    public var bytes = 2 << 20

    public static let maxBodyBytes = 64 << 20
    /// Faults that may wait at a time.
    public static let maxWaiting = 1000

    public init(_ kind: Kind, _ method: String? = nil, _ path: String? = nil, times: Int = 1, skip: Int = 0) {
        (self.kind, self.method, self.path, self.times, self.skip) = (kind, method, path, times, skip)
    }

    /// An error with that status.
    public static func answer(
        _ status: Int, _ method: String? = nil, _ path: String? = nil, times: Int = 1, retryAfter: String? = nil,
        shouldRetry: Bool? = nil, acts: Bool? = nil
    ) -> FakeFault {
        var fault = FakeFault(.answer, method, path, times: times)
        (fault.status, fault.retryAfter, fault.shouldRetry, fault.acts) = (status, retryAfter, shouldRetry, acts)
        return fault
    }

    /// Whether the request takes effect.
    var actsFirst: Bool {
        switch kind {
        case .refuse, .dropBefore: false
        case .dropAfter: true
        case .malformedJSON, .oversizedBody, .dropMidBody: acts ?? true
        case .answer, .html, .stall, .echo: acts ?? false
        }
    }

    func fits(_ request: FakeRequest) -> Bool {
        if let method, method != request.method { return false }
        guard let path else { return true }
        let wanted = path.split(separator: "/"), found = request.path.split(separator: "/")
        for (index, segment) in wanted.enumerated() {
            if segment == "**", index == wanted.count - 1 { return true }
            guard index < found.count, segment == "*" || segment == found[index] else { return false }
        }
        return wanted.count == found.count
    }
}
