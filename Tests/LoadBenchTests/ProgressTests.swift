import Testing

@testable import tunnel_bench

struct ProgressTests {
    @Test func takesWhatIsLeftFromWhatTheFirstRunsTook() {
        var progress = Progress(plan: [6, 6, 2, 2], now: 100)
        // Nothing has ended: the plan is all there is.
        #expect(progress.left(now: 103) == 16)
        #expect(progress.line("post-1, nginx", now: 103) == "[1 of 4] post-1, nginx, about 20 s left")
        progress.finish(6)
        // Six planned seconds took nine, so the ten that are left take fifteen.
        #expect(progress.left(now: 109) == 15)
        for seconds in [6.0, 2, 2] { progress.finish(seconds) }
        #expect(progress.left(now: 130) == 0)
        #expect(progress.line("start", now: 130).hasPrefix("[4 of 4] start"))
    }

    @Test(arguments: [
        (0, "5 s"), (-3, "5 s"), (5, "5 s"), (5.1, "10 s"), (54, "55 s"), (55, "1 min"), (60, "1 min"), (61, "2 min"),
        (3540, "59 min"), (3541, "1 h 0 min"), (5400, "1 h 30 min"),
    ])
    func roundsUp(_ seconds: Double, _ text: String) { #expect(Progress.text(seconds) == text) }
}
