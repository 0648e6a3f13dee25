import Testing

@testable import TunnelProxy

private let day: Int64 = 86_400

/// Seconds before the end, and whether something is told then.
@Suite struct ExpiryWatchTests {
    private static let end: Int64 = 1_800_000_000

    private func told(_ left: [Int64], from first: Int64 = 90 * day) -> [Bool] {
        var watch = ExpiryWatch(notAfter: Self.end, now: Self.end - first)
        return left.map { watch.isNews(at: Self.end - $0) }
    }

    @Test func eachStageOnce() {
        #expect(told([31 * day, 30 * day + 1, 30 * day, 30 * day, 29 * day]) == [false, false, true, false, false])
        #expect(
            told([7 * day + 1, 7 * day, day + 1, day, 0, -1, -2]) == [true, true, false, true, false, true, false])
        // A step over several stages is one piece of news, that of the last.
        #expect(told([-400 * day, -1]) == [true, false])
        #expect(told([day, 0]) == [true, false])
    }

    /// What was told when the certificate was put in force is not told again.
    @Test(
        arguments: [
            (30 * day, 7 * day), (20 * day, 7 * day), (7 * day, day), (day, -1), (0, -1),
        ] as [(Int64, Int64)])
    func theStartCounts(_ first: Int64, _ next: Int64) {
        #expect(told([first, next + 1, next], from: first) == [false, false, true])
    }

    @Test func nothingFollowsTheEnd() {
        #expect(told([-1, -day, -9_999 * day], from: -1) == [false, false, false])
    }

    /// A clock that hangs back by seconds tells nothing twice; one that was far ahead by mistake does not hide the end.
    @Test func stepsBack() {
        #expect(told([day, day + 3_599, day]) == [true, false, false])
        #expect(told([-1, 3_598, -1]) == [true, false, false])
        #expect(told([-1, 60 * day, 30 * day, -1]) == [true, false, true, true])
        #expect(told([60 * day, 30 * day, -1], from: -5_000 * day) == [false, true, true])
    }

    /// No clock and no date traps.
    @Test func extremes() {
        for notAfter in [Int64.min, 0, .max] {
            var watch = ExpiryWatch(notAfter: notAfter, now: 0)
            for now in [Int64.min, .max, 0] { _ = watch.isNews(at: now) }
        }
    }
}
