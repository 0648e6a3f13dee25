/// The field `Request-Id`, by which client, proxy and upstream name one request.
package enum RequestID {
    /// Longer ones are replaced: they stand in each line of a log.
    package static let maxBytes = 128

    /// Whether an id that a client sent can be taken over: 1 to 128 bytes of a token (RFC 9110 §5.6.2), which mean the same in
    /// a log, a field and a URL.
    package static func isAcceptable(_ value: Span<UInt8>) -> Bool {
        value.count <= maxBytes && value.holdsOnly(.token, in: 0..<value.count)
    }
}
