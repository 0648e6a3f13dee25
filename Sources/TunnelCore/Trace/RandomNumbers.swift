internal import COpenSSL

/// Numbers that nobody can predict, for the ids of traces, spans and requests. Drawn many at a time, so that a request costs no
/// call into OpenSSL. For one thread.
package struct RandomNumbers: Sendable {
    private static let batch = 256
    private var words: [UInt64] = []

    package init() {}

    package mutating func next() -> UInt64 {
        if words.isEmpty { refill() }
        return words.removeLast()
    }

    package mutating func traceID() -> TraceID {
        while true {
            if let id = TraceID(high: next(), low: next()) { return id }
        }
    }

    package mutating func spanID() -> SpanID {
        while true {
            if let id = SpanID(next()) { return id }
        }
    }

    private mutating func refill() {
        words.append(contentsOf: repeatElement(0, count: Self.batch))
        // SAFETY: RAND_bytes writes exactly the number of bytes that the array holds.
        let drawn = words.withUnsafeMutableBytes { bytes in
            RAND_bytes(bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), CInt(bytes.count))
        }
        // OpenSSL's generator fails only before it was seeded; the system's own is then as good.
        if drawn != 1 { for index in words.indices { words[index] = .random(in: .min ... .max) } }
    }
}
