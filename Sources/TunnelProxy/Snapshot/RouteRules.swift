internal import TunnelCore

/// What a route asks of a request before it goes to the upstream, and adds to it. Only routes that ask for something have
/// one; the others pay a look at `nil`.
final class RouteRules: Sendable {
    private let methods: [[UInt8]]
    private let paths: [RoutePath]
    /// Field lines for the upstream, each with its CRLF, and their names in lower case.
    let lines: [UInt8]
    let names: [[UInt8]]
    /// `nil` where there is no such limit.
    let rate: RateLimit?
    let places: PlaceLimit?

    /// - Returns: `nil` for a route that asks for nothing.
    init?(_ options: RouteOptions, lines: [UInt8], _ limiters: RouteLimiters, queueTimeout: UInt64) {
        methods = options.methods.map { Array($0.utf8) }
        paths = options.paths.compactMap { RoutePath($0) }
        self.lines = lines
        names = options.setHeaders.map { Array($0.name.lowercased().utf8) }
        rate = RateLimit(options.rate, burst: options.burst, limiters.bucket)
        places = PlaceLimit(options.maxRequests, queue: options.maxQueued, timeout: queueTimeout, limiters.turnstile)
        if methods.isEmpty, paths.isEmpty, lines.isEmpty, rate == nil, places == nil { return nil }
    }

    enum Refusal {
        case method, path
    }

    /// Whether the lists let a request pass.
    func refusal(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Refusal? {
        if !methods.isEmpty {
            let method = bytes.extracting(head.methodRange)
            guard methods.contains(where: { isEqual($0, method) }) else { return .method }
        }
        if !paths.isEmpty {
            let path = bytes.extracting(head.path)
            guard paths.contains(where: { $0.matches(path) }) else { return .path }
        }
        return nil
    }

    private func isEqual(_ a: [UInt8], _ b: Span<UInt8>) -> Bool {
        guard a.count == b.count else { return false }
        for index in a.indices where a[index] != b[index] { return false }
        return true
    }
}

/// The counters behind a route's limits, or behind those in all. They go from one snapshot to the next, so a reload lets
/// nobody in twice.
final class RouteLimiters: Sendable {
    let bucket = TokenBucket()
    let turnstile = Turnstile()
}

/// A rate, and the bucket that it is counted in.
struct RateLimit: Sendable {
    private let bucket: TokenBucket
    /// Nanoseconds that a request is worth.
    private let interval: UInt64
    private let burst: UInt64

    init?(_ rate: Double, burst: Int, _ bucket: TokenBucket) {
        guard rate > 0 else { return nil }
        self.bucket = bucket
        interval = max(1, UInt64((1_000_000_000 / rate).rounded()))
        self.burst = burst > 0 ? UInt64(burst) : UInt64(max(1, rate.rounded(.up)))
    }

    /// Lets one request pass.
    ///
    /// - Returns: `nil` when it may, else the nanoseconds until one could.
    func take(now: UInt64) -> UInt64? { bucket.take(now: now, interval: interval, burst: burst) }
}

/// How many requests may be under way, and the turnstile that counts them.
struct PlaceLimit: Sendable {
    let turnstile: Turnstile
    let limit: Int
    let queue: Int
    /// Nanoseconds that a request waits for its turn.
    let timeout: UInt64

    init?(_ limit: Int, queue: Int, timeout: UInt64, _ turnstile: Turnstile) {
        guard limit > 0 else { return nil }
        (self.turnstile, self.limit, self.queue, self.timeout) = (turnstile, limit, queue, timeout)
    }
}
