/// Why the proxy cannot do what was asked.
public struct ProxyError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}
