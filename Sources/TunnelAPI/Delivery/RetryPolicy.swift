package import TunnelCore

/// When a request is sent again, and after how long: as Anthropic's own clients do it, but never where doing a thing
/// twice would do harm.
///
/// Two more attempts after a failure of the transport or a status of 408, 409, 429 or from 500 on. The field
/// `x-should-retry` overrides the status; `retry-after-ms` and `retry-after` give the wait up to a minute, and beyond it
/// nothing is repeated; otherwise half a second that doubles up to eight, less up to a quarter at random.
package enum RetryPolicy {
    static let maxRetries = 2
    static let longestWait = Duration.seconds(60)
    private static let firstBackoff = Duration.milliseconds(500)
    private static let longestBackoff = Duration.seconds(8)

    /// What may be done again.
    enum Repetition: Sendable {
        /// Doing it twice is doing it once.
        case always
        /// Only after a failure which shows that nothing was done.
        case unlessActedOn
        case never
    }

    /// How one attempt ended.
    enum Attempt: Sendable {
        case response(HTTPResponse)
        case failure(TransportError)

        /// Whether the server may have done what was asked although no response says so.
        ///
        /// 429 and 529 say that it was too busy to begin; the others of the 400s, that it refused. 408 stands in for a
        /// gateway that lost its patience, and says nothing about the server behind it.
        var isAmbiguous: Bool {
            switch self {
            case .failure(let error): error.mayHaveBeenReceived
            case .response(let response): response.status == 408 || (response.status >= 500 && response.status != 529)
            }
        }
    }

    enum Verdict: Sendable, Equatable {
        case done
        case again(after: Duration)
        /// The server asks for more patience than we have.
        case busyFor(Duration)
    }

    /// - Parameters:
    ///   - retries: how often it was sent again already.
    ///   - jitter: random, 0..<1.
    static func verdict(
        _ attempt: Attempt, _ repetition: Repetition, retries: Int, now: UnixTime, jitter: Double
    ) -> Verdict {
        let wait: Duration?
        switch attempt {
        case .failure(let error):
            // These would end the same way.
            if error.code == .invalidRequest || error.code == .tooLarge { return .done }
            wait = nil
        case .response(let response):
            guard isTemporary(response) else { return .done }
            wait = requestedWait(response, now: now)
            if let wait, wait > longestWait { return .busyFor(wait) }
        }
        guard retries < maxRetries, repetition != .never, !(repetition == .unlessActedOn && attempt.isAmbiguous) else {
            return .done
        }
        return .again(after: wait ?? backoff(retries: retries, jitter: jitter))
    }

    private static func isTemporary(_ response: HTTPResponse) -> Bool {
        // A token that was refused needs another one, not more patience.
        guard response.status >= 300, response.status != 401 else { return false }
        switch response.first("x-should-retry") {
        case "true": return true
        case "false": return false
        default: return [408, 409, 429].contains(response.status) || response.status >= 500
        }
    }

    static func backoff(retries: Int, jitter: Double) -> Duration {
        var wait = firstBackoff
        for _ in 0..<min(max(retries, 0), 10) { wait = min(wait * 2, longestBackoff) }
        return wait * (1 - 0.25 * min(max(jitter, 0), 1))
    }

    /// What the server asks for; `nil` where it says nothing that can be understood. A moment in the past is no wait.
    package static func requestedWait(_ response: HTTPResponse, now: UnixTime) -> Duration? {
        if let milliseconds = response.first("retry-after-ms").flatMap(number) {
            return .milliseconds(milliseconds)
        }
        guard let text = response.first("retry-after") else { return nil }
        if let seconds = number(text) { return .seconds(seconds) }
        return UnixTime(httpDate: text, now: now).map { max($0.duration(since: now), .zero) }
    }

    /// Digits with or without a fraction, so bounded that no `Duration` overflows.
    private static func number(_ text: String) -> Double? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E }), let value = Double(text) else {
            return nil
        }
        return min(value, 1e9)
    }
}

extension UnixTime {
    func duration(since earlier: UnixTime) -> Duration {
        let (seconds, isOverflow) = seconds.subtractingReportingOverflow(earlier.seconds)
        guard !isOverflow else { return .seconds(self.seconds > earlier.seconds ? Int64.max / 2 : Int64.min / 2) }
        return .seconds(seconds) + .nanoseconds(nanoseconds - earlier.nanoseconds)
    }

    func adding(seconds more: Int64) -> UnixTime {
        let (sum, isOverflow) = seconds.addingReportingOverflow(more)
        return UnixTime(seconds: isOverflow ? (more > 0 ? .max : .min) : sum, nanoseconds: nanoseconds)
    }
}
