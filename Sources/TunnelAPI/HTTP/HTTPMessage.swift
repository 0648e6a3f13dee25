public import TunnelCore

/// One request to an HTTP API, small enough to be held in memory.
///
/// Its textual forms show method and address only: body and credentials never reach a log by accident.
public struct HTTPRequest: Sendable, CustomStringConvertible, CustomReflectable {
    /// For example `GET`; sent as it is.
    public var method: String
    /// Whom it goes to.
    public var service: ServiceURL
    /// Path and query behind ``service``, with a leading `/`, percent-encoded where needed.
    public var target: String
    /// Fields besides those that the transport writes itself, and refuses here: Host, Content-Length, Authorization and
    /// whatever concerns the connection. ``HTTPSTransport`` adds User-Agent and Accept (JSON) where they are not given.
    public var fields: [HTTPField]
    /// Sent as `Authorization: Bearer …` (RFC 6750 §2.1).
    public var bearerToken: Secret?
    /// `nil` for none. An empty body is announced with `Content-Length: 0`.
    public var body: [UInt8]?
    /// For all of it: name resolution, connection, handshakes, request and response. Nothing else ends a request.
    public var timeout: Duration
    /// A longer body of the response is refused.
    public var maxResponseBytes: Int
    /// Whether doing it twice is the same as doing it once. Only such a request may go out on a connection that was kept
    /// from an earlier one, because that may be closed under it, and nobody then knows whether it was acted on.
    public var isRepeatable: Bool

    public init(
        _ method: String, _ service: ServiceURL, _ target: String, fields: [HTTPField] = [],
        bearerToken: Secret? = nil, body: [UInt8]? = nil, timeout: Duration = .seconds(60),
        maxResponseBytes: Int = 1 << 20, isRepeatable: Bool = true
    ) {
        (self.method, self.service, self.target, self.fields) = (method, service, target, fields)
        (self.bearerToken, self.body, self.timeout) = (bearerToken, body, timeout)
        (self.maxResponseBytes, self.isRepeatable) = (maxResponseBytes, isRepeatable)
    }

    public var description: String { "\(method) \(service)\(target)" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// The whole response to an ``HTTPRequest``.
///
/// Its textual forms show the status only, because a body may hold secrets.
public struct HTTPResponse: Sendable, CustomStringConvertible, CustomReflectable {
    public var status: Int
    /// In the order they came.
    public var fields: [HTTPField]
    public var body: [UInt8]

    public init(status: Int, fields: [HTTPField] = [], body: [UInt8] = []) {
        (self.status, self.fields, self.body) = (status, fields, body)
    }

    /// The value of the first field of that name, in any case; `nil` if there is none.
    public func first(_ name: String) -> String? {
        fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    public var description: String { "HTTP \(status)" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// One field of a head, by name and value.
public struct HTTPField: Sendable, Hashable {
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
}
