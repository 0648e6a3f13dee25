import Testing
import TunnelCore

@Suite struct LoopMetricsTests {
    /// Every number set to something of its own.
    static func filled() -> LoopMetrics {
        var m = LoopMetrics()
        (m.streamsAccepted, m.openStreams, m.handshakesSucceeded) = (1, 2, 3)
        (m.handshakesResumed, m.handshakesFailed, m.requests) = (4, 5, 6)
        (m.requestsInFlight, m.requestsWithoutRoute, m.requestsOverLimit) = (7, 8, 9)
        (m.exchangesAborted, m.bytesUp, m.bytesDown) = (10, 11, 12)
        (m.upstreamConnects, m.upstreamConnectsFailed, m.openUpstreamConnections) = (13, 14, 15)
        (m.poolHits, m.poolRetries) = (16, 17)
        for status in [101, 200, 302, 404, 503] { m.countAnswer(status: status) }
        for reason in UpstreamPolicy.Refusal.allCases { m.countRefusal(reason) }
        for bound in Histogram.bounds + [.seconds(9_999)] {
            m.timeToFirstByte.record(bound)
            m.requestDuration.record(bound)
        }
        return m
    }

    /// All numbers in a value, found by reflection, so that a new field that the sum forgets is found too.
    static func numbers(_ value: Any) -> [Int] {
        if let number = value as? UInt64 { return [Int(number)] }
        if let number = value as? Int64 { return [Int(number)] }
        return Mirror(reflecting: value).children.flatMap { numbers($0.value) }
    }

    @Test func sumsEveryField() {
        var sum = Self.filled()
        sum += Self.filled()
        let once = Self.numbers(Self.filled()), twice = Self.numbers(sum)
        #expect(once.count == 17 + 5 + UpstreamPolicy.Refusal.allCases.count + 2 * (Histogram.bounds.count + 2))
        #expect(once.allSatisfy { $0 != 0 })
        #expect(twice == once.map { $0 * 2 })
    }

    @Test func countsRefusalsByReason() {
        var metrics = LoopMetrics()
        for (index, reason) in UpstreamPolicy.Refusal.allCases.enumerated() {
            for _ in 0...index { metrics.countRefusal(reason) }
        }
        for (index, reason) in UpstreamPolicy.Refusal.allCases.enumerated() {
            #expect(metrics[refusal: reason] == UInt64(index + 1))
        }
    }

    @Test func countsAnswersByClass() {
        var metrics = LoopMetrics()
        for status in [101, 200, 299, 404, 502, 599] { metrics.countAnswer(status: status) }
        for status in [0, 99, 600, -1, .max, .min] { metrics.countAnswer(status: status) }
        #expect(metrics.answersByClass == [1, 2, 0, 1, 2])
    }
}
