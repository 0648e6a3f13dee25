/// What one event loop counted. A plain value that its loop alone changes, so counting is an addition without atomics;
/// the sum over the loops is what the proxy did.
///
/// Counters only grow and wrap around; gauges (named `open…`, `…InFlight`) are the present number.
public struct LoopMetrics: Hashable, Sendable {
    // Tunnel streams: WebSocket connections of the tunnel agent.
    public var streamsAccepted: UInt64 = 0
    public var openStreams: Int64 = 0

    // Inner TLS handshakes.
    public var handshakesSucceeded: UInt64 = 0
    /// Those among the succeeded that resumed a session.
    public var handshakesResumed: UInt64 = 0
    public var handshakesFailed: UInt64 = 0

    // Exchanges: a request and its answer.
    public var requests: UInt64 = 0
    public var requestsInFlight: Int64 = 0
    /// Requests answered by the proxy because no route has their host.
    public var requestsWithoutRoute: UInt64 = 0
    /// Requests refused with 503 because a limit was reached or the proxy was draining.
    public var requestsOverLimit: UInt64 = 0
    /// Final answers by the hundred of their status, 1xx at 0; see `countAnswer`.
    public private(set) var answersByClass = [UInt64](repeating: 0, count: 5)
    /// Exchanges that ended before their answer was whole.
    public var exchangesAborted: UInt64 = 0
    /// Body bytes from the client to the upstream.
    public var bytesUp: UInt64 = 0
    /// Body bytes from the upstream to the client.
    public var bytesDown: UInt64 = 0
    /// From the request's head to the first byte of its final answer.
    public var timeToFirstByte = Histogram()
    /// From the request's head to the end of the exchange.
    public var requestDuration = Histogram()

    // Upstream connections.
    public var upstreamConnects: UInt64 = 0
    public var upstreamConnectsFailed: UInt64 = 0
    public var openUpstreamConnections: Int64 = 0
    /// Exchanges that found an idle connection in the pool.
    public var poolHits: UInt64 = 0
    /// Exchanges sent again on a fresh connection because the pooled one had died.
    public var poolRetries: UInt64 = 0
    /// Refused upstream addresses by the policy's reason, in the order of `UpstreamPolicy.Refusal.allCases`.
    private var refusals = [UInt64](repeating: 0, count: UpstreamPolicy.Refusal.allCases.count)

    public init() {}

    /// How often an upstream address was refused for `reason`.
    public subscript(refusal reason: UpstreamPolicy.Refusal) -> UInt64 { refusals[reason.index] }

    public mutating func countRefusal(_ reason: UpstreamPolicy.Refusal) { refusals[reason.index] &+= 1 }

    /// Counts a final answer by the class of its status; a status outside 100...599 is not counted.
    public mutating func countAnswer(status: Int) {
        guard status >= 100, status < 600 else { return }
        answersByClass[status / 100 - 1] &+= 1
    }

    // If you add a field, add it here: the test of the sum looks at every stored property.
    public static func += (a: inout Self, b: Self) {
        a.streamsAccepted &+= b.streamsAccepted
        a.openStreams &+= b.openStreams
        a.handshakesSucceeded &+= b.handshakesSucceeded
        a.handshakesResumed &+= b.handshakesResumed
        a.handshakesFailed &+= b.handshakesFailed
        a.requests &+= b.requests
        a.requestsInFlight &+= b.requestsInFlight
        a.requestsWithoutRoute &+= b.requestsWithoutRoute
        a.requestsOverLimit &+= b.requestsOverLimit
        for index in a.answersByClass.indices { a.answersByClass[index] &+= b.answersByClass[index] }
        a.exchangesAborted &+= b.exchangesAborted
        a.bytesUp &+= b.bytesUp
        a.bytesDown &+= b.bytesDown
        a.timeToFirstByte += b.timeToFirstByte
        a.requestDuration += b.requestDuration
        a.upstreamConnects &+= b.upstreamConnects
        a.upstreamConnectsFailed &+= b.upstreamConnectsFailed
        a.openUpstreamConnections &+= b.openUpstreamConnections
        a.poolHits &+= b.poolHits
        a.poolRetries &+= b.poolRetries
        for index in a.refusals.indices { a.refusals[index] &+= b.refusals[index] }
    }
}

extension UpstreamPolicy.Refusal {
    /// The place of the reason in `allCases`, as a switch: a search would cost more than the addition it serves.
    fileprivate var index: Int {
        switch self {
        case .notAllowed: 0
        case .metadata: 1
        case .linkLocal: 2
        case .multicast: 3
        case .unspecified: 4
        case .broadcast: 5
        case .ownListener: 6
        case .embeddedIPv4: 7
        }
    }
}

/// Counts durations by size. A plain value: one per loop, summed by whoever reads.
public struct Histogram: Hashable, Sendable {
    /// The upper bounds of the buckets but the last, which has none; a duration equal to a bound is below it. They reach
    /// from a hop on the same machine to a long-lived event stream.
    public static let bounds: [Duration] = [
        .microseconds(250), .microseconds(500), .milliseconds(1), .microseconds(2_500), .milliseconds(5),
        .milliseconds(10), .milliseconds(25), .milliseconds(50), .milliseconds(100), .milliseconds(250),
        .milliseconds(500), .seconds(1), .milliseconds(2_500), .seconds(5), .seconds(10), .seconds(60), .seconds(600),
    ]

    /// How many durations fell into each bucket, each counted once; one more than there are bounds.
    public private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
    /// The sum of all durations, in microseconds.
    public private(set) var microseconds: UInt64 = 0

    public init() {}

    /// The number of durations.
    public var count: UInt64 { counts.reduce(0, &+) }

    /// Counts one duration. A negative one, from a clock set back, counts as zero.
    public mutating func record(_ duration: Duration) {
        let index = Self.bounds.firstIndex { duration <= $0 } ?? Self.bounds.count
        counts[index] &+= 1
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { return }
        microseconds &+= UInt64(seconds) &* 1_000_000 &+ UInt64(attoseconds / 1_000_000_000_000)
    }

    public static func += (a: inout Self, b: Self) {
        for index in a.counts.indices { a.counts[index] &+= b.counts[index] }
        a.microseconds &+= b.microseconds
    }
}
