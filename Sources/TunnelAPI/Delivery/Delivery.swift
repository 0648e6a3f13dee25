internal import TunnelCore

/// Sends one request, again where ``RetryPolicy`` allows it, until it is answered or the time is over.
struct Delivery: Sendable {
    let transport: any HTTPTransport
    let now: @Sendable () -> UnixTime
    /// When the whole operation must be over, with all that is sent for it.
    let deadline: UnixTime

    /// How it ended.
    struct Outcome: Sendable {
        let last: RetryPolicy.Attempt
        /// Whether any of the attempts may have been acted on without a response that says so.
        let isAmbiguous: Bool
        /// How long the server wants to be left alone, when that was too long to wait.
        var busyFor: Duration?
    }

    /// What is left until the deadline; not negative.
    var remaining: Duration { max(deadline.duration(since: now()), .zero) }

    /// - Parameters:
    ///   - repetition: what may be done again.
    ///   - make: makes the request for each attempt anew, with no more time than it is given.
    /// - Throws: what `make` throws, and a time-out when none is left for a first attempt.
    func send(
        _ repetition: RetryPolicy.Repetition, _ make: (Duration) throws(APIError) -> HTTPRequest
    ) async throws(APIError) -> Outcome {
        var retries = 0
        var isAmbiguous = false
        while true {
            var request = try make(remaining)
            request.isRepeatable = repetition == .always
            let attempt = await attempt(request)
            isAmbiguous = isAmbiguous || attempt.isAmbiguous
            let outcome = Outcome(last: attempt, isAmbiguous: isAmbiguous)
            let verdict = RetryPolicy.verdict(
                attempt, repetition, retries: retries, now: now(), jitter: .random(in: 0..<1))
            switch verdict {
            case .done: return outcome
            case .busyFor(let wait): return Outcome(last: attempt, isAmbiguous: isAmbiguous, busyFor: wait)
            case .again(let wait):
                guard wait < remaining else { return outcome }
                await transport.pause(wait)
                guard remaining > .zero else { return outcome }
                retries += 1
            }
        }
    }

    private func attempt(_ request: HTTPRequest) async -> RetryPolicy.Attempt {
        guard request.timeout > .zero else {
            return .failure(TransportError(.timedOut, "no time is left for the request"))
        }
        do throws(TransportError) {
            let response = try await transport.send(request)
            guard response.body.count <= request.maxResponseBytes else {
                return .failure(
                    TransportError(
                        .tooLarge, "the response is longer than \(request.maxResponseBytes) bytes",
                        mayHaveBeenReceived: true))
            }
            return .response(response)
        } catch { return .failure(error) }
    }
}
