/// The whole answer to an ``HTTPRequest``.
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
