// docs/embedding.md
import TunnelCore

/// Method, host and path of a request, or `nil` if its head is not whole yet. Ambiguous heads are refused.
func summary(of received: [UInt8]) throws -> String? {
    var head = RequestHead()
    guard try head.parse(received.span, limits: HeadLimits(maxBytes: 65_536, maxFields: 200)) != nil else { return nil }
    let parts = [head.methodRange, head.authority, head.path]  // ranges into the bytes; nothing was copied
    return parts.map { String(decoding: received[$0], as: UTF8.self) }.joined(separator: " ")
}
// docs/embedding.md
