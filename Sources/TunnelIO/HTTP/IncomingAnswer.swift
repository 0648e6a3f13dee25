/// The whole answer to an ``OutgoingRequest``.
///
/// Its textual forms show the status only: fields and body may hold secrets.
package struct IncomingAnswer: Sendable, CustomStringConvertible, CustomReflectable {
    package let status: Int
    /// In the order they came; bytes that are not UTF-8 are replaced.
    package let fields: [(name: String, value: String)]
    package let body: [UInt8]

    package var description: String { "HTTP \(status)" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
