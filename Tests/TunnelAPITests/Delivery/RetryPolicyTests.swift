import Testing
import TunnelCore

@testable import TunnelAPI

/// When a request is sent again, as a table.
@Suite struct RetryPolicyTests {
    private static let now = UnixTime(seconds: 784_111_777)

    private static func verdict(
        _ status: Int, _ fields: [String: String] = [:], _ repetition: RetryPolicy.Repetition = .always,
        retries: Int = 0
    ) -> RetryPolicy.Verdict {
        let response = HTTPResponse(status: status, fields: fields.map { HTTPField($0.key, $0.value) })
        return RetryPolicy.verdict(.response(response), repetition, retries: retries, now: now, jitter: 0)
    }

    private static func verdict(
        _ code: TransportError.Code, received: Bool, _ repetition: RetryPolicy.Repetition
    ) -> RetryPolicy.Verdict {
        let error = TransportError(code, "", mayHaveBeenReceived: received)
        return RetryPolicy.verdict(.failure(error), repetition, retries: 0, now: now, jitter: 0)
    }

    private static let soon = RetryPolicy.Verdict.again(after: .milliseconds(500))

    @Test(arguments: [408, 409, 429, 500, 502, 503, 504, 529, 599]) func temporary(_ status: Int) {
        #expect(Self.verdict(status) == Self.soon)
        #expect(Self.verdict(status, ["X-Should-Retry": "false"]) == .done)
    }

    @Test(arguments: [301, 400, 402, 403, 404, 410, 413, 422]) func final(_ status: Int) {
        #expect(Self.verdict(status) == .done)
        #expect(Self.verdict(status, ["x-should-retry": "true"]) == Self.soon)
        #expect(Self.verdict(status, ["x-should-retry": "maybe"]) == .done)
    }

    /// The same token would be refused again.
    @Test func refusedTokenIsNotSentAgain() {
        #expect(Self.verdict(401) == .done && Self.verdict(401, ["x-should-retry": "true"]) == .done)
    }

    @Test func successIsDoneWhateverItAsks() {
        #expect(Self.verdict(200, ["x-should-retry": "true", "retry-after": "99"]) == .done)
    }

    @Test func twoRetriesAndNoMore() {
        #expect(Self.verdict(503, retries: 1) == .again(after: .seconds(1)))
        #expect(Self.verdict(503, retries: 2) == .done)
    }

    @Test(arguments: [408, 409, 429, 500, 503, 529]) func never(_ status: Int) {
        #expect(Self.verdict(status, [:], .never) == .done)
        #expect(Self.verdict(status, ["x-should-retry": "true"], .never) == .done)
    }

    /// Statuses which show that nothing was done.
    @Test(arguments: [(409, true), (429, true), (529, true), (408, false), (500, false), (503, false), (504, false)])
    func unlessActedOn(_ row: (status: Int, isRepeated: Bool)) {
        #expect(Self.verdict(row.status, [:], .unlessActedOn) == (row.isRepeated ? Self.soon : .done))
    }

    @Test(arguments: [TransportError.Code.nameNotFound, .connect, .tls, .timedOut, .proxy, .closed, .malformed])
    func transportFailures(_ code: TransportError.Code) {
        #expect(Self.verdict(code, received: true, .always) == Self.soon)
        #expect(Self.verdict(code, received: false, .unlessActedOn) == Self.soon)
        #expect(Self.verdict(code, received: true, .unlessActedOn) == .done)
        #expect(Self.verdict(code, received: false, .never) == .done)
    }

    @Test(arguments: [TransportError.Code.invalidRequest, .tooLarge]) func wouldEndTheSameWay(
        _ code: TransportError.Code
    ) { #expect(Self.verdict(code, received: false, .always) == .done) }

    static let waits: [([String: String], Duration)] = [
        (["retry-after": "7"], .seconds(7)), (["Retry-After": "0"], .zero), (["retry-after": "1.5"], .seconds(1.5)),
        (["retry-after": "60"], .seconds(60)), (["retry-after-ms": "250"], .milliseconds(250)),
        (["retry-after-ms": "250", "retry-after": "7"], .milliseconds(250)),
        (["retry-after-ms": "x", "retry-after": "7"], .seconds(7)),
        (["retry-after": "Sun, 06 Nov 1994 08:49:47 GMT"], .seconds(10)),
        (["retry-after": "Sun, 06 Nov 1994 08:49:27 GMT"], .zero),
        // What cannot be understood says nothing.
        (["retry-after": "-3"], .milliseconds(500)), (["retry-after": "soon"], .milliseconds(500)),
        (["retry-after": "0x10"], .milliseconds(500)), (["retry-after": ""], .milliseconds(500)),
        (["retry-after": "inf"], .milliseconds(500)), (["retry-after": "1e9"], .milliseconds(500)),
    ]

    @Test(arguments: waits) func honoursRetryAfter(_ row: (fields: [String: String], wait: Duration)) {
        #expect(Self.verdict(429, row.fields) == .again(after: row.wait))
    }

    @Test(arguments: [
        (["retry-after": "61"], Duration.seconds(61)), (["retry-after-ms": "60001"], .milliseconds(60_001)),
        (["retry-after": "Sun, 06 Nov 1994 08:51:37 GMT"], .seconds(120)),
        (["retry-after": String(repeating: "9", count: 400)], .seconds(1e9)),
    ])
    func moreThanAMinuteIsTooLong(_ row: (fields: [String: String], wait: Duration)) {
        #expect(Self.verdict(503, row.fields) == .busyFor(row.wait))
        #expect(Self.verdict(503, row.fields, .never) == .busyFor(row.wait))
    }

    @Test func backoffDoublesUpToEight() {
        let waits = (0...6).map { RetryPolicy.backoff(retries: $0, jitter: 0) }
        #expect(waits == [0.5, 1, 2, 4, 8, 8, 8].map { Duration.seconds($0) })
        #expect(RetryPolicy.backoff(retries: 0, jitter: 1) == .milliseconds(375))
        #expect(RetryPolicy.backoff(retries: .max, jitter: 5) == .seconds(6))
    }

    @Test func timesDoNotOverflow() {
        let first = UnixTime(seconds: .min), last = UnixTime(seconds: .max)
        #expect(last.duration(since: first) > .seconds(1_000_000_000) && first.duration(since: last) < .zero)
        #expect(last.adding(seconds: 1) == last && first.adding(seconds: -1) == first)
        let half = UnixTime(seconds: 1, nanoseconds: 500_000_000)
        #expect(half.duration(since: UnixTime(seconds: 0, nanoseconds: 750_000_000)) == .milliseconds(750))
    }
}
