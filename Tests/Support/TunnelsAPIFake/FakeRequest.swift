public import TunnelAPI

/// A request as it arrives: the fields that a client's transport adds (Host, Authorization, Content-Length) included.
public struct FakeRequest: Sendable {
    public var method: String
    /// Path and query.
    public var target: String
    public var fields: [HTTPField]
    public var body: [UInt8]

    public init(_ method: String, _ target: String, fields: [HTTPField] = [], body: [UInt8] = []) {
        (self.method, self.target, self.fields, self.body) = (method, target, fields, body)
    }

    /// The target without its query.
    public var path: String { String(target.prefix { $0 != "?" }) }

    /// What stands behind the first `?`; `nil` without one.
    public var query: String? {
        target.firstIndex(of: "?").map { String(target[target.index(after: $0)...]) }
    }

    /// The values of all fields of that name, in any case.
    public func values(_ name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }
}

/// What becomes of a request.
public enum FakeAnswer: Sendable {
    case response(HTTPResponse)
    /// The head announces the whole body; the connection ends behind its first `bodyBytes` bytes.
    case truncated(HTTPResponse, bodyBytes: Int)
    /// Nothing, ever; the connection stays open.
    case stall
    /// Nothing; the connection is reset.
    case drop
    /// No connection in the first place. Where one is there already, it is reset unread.
    case refuse

    /// The whole response, where there is one.
    public var response: HTTPResponse? { if case .response(let response) = self { response } else { nil } }
}
