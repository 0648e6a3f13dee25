import Testing
import TunnelCore

@Suite struct LoopMetricsTests {
    /// Every number set to something that no other has, times `factor`: a sum that takes one field for another differs.
    static func filled(_ factor: Int) -> LoopMetrics {
        var m = LoopMetrics()
        let numbers = (1...17).map { $0 * factor }
        func unsigned(_ index: Int) -> UInt64 { UInt64(numbers[index]) }
        func signed(_ index: Int) -> Int64 { Int64(numbers[index]) }
        (m.streamsAccepted, m.openStreams, m.handshakesSucceeded) = (unsigned(0), signed(1), unsigned(2))
        (m.handshakesResumed, m.handshakesFailed, m.requests) = (unsigned(3), unsigned(4), unsigned(5))
        (m.requestsInFlight, m.requestsWithoutRoute, m.requestsOverLimit) = (signed(6), unsigned(7), unsigned(8))
        (m.exchangesAborted, m.bytesUp, m.bytesDown) = (unsigned(9), unsigned(10), unsigned(11))
        (m.upstreamConnects, m.upstreamConnectsFailed) = (unsigned(12), unsigned(13))
        (m.openUpstreamConnections, m.poolHits, m.poolRetries) = (signed(14), unsigned(15), unsigned(16))
        func times(_ count: Int, _ body: () -> Void) { for _ in 0..<count * factor { body() } }
        for (index, status) in [101, 200, 302, 404, 503].enumerated() {
            times(20 + index) { m.countAnswer(status: status) }
        }
        for (index, reason) in UpstreamPolicy.Refusal.allCases.enumerated() {
            times(30 + index) { m.countRefusal(reason) }
        }
        for (index, bound) in (Histogram.bounds + [.seconds(9_999)]).enumerated() {
            times(50 + index) { m.timeToFirstByte.record(bound) }
            times(80 + index) { m.requestDuration.record(bound) }
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
        let one = Self.numbers(Self.filled(1)), three = Self.numbers(Self.filled(3))
        #expect(one.count == 17 + 5 + UpstreamPolicy.Refusal.allCases.count + 2 * (Histogram.bounds.count + 2))
        #expect(one.allSatisfy { $0 != 0 } && Set(one).count == one.count)
        #expect(three == one.map { $0 * 3 })
        var sum = Self.filled(1)
        sum += Self.filled(3)
        #expect(Self.numbers(sum) == one.map { $0 * 4 })
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
