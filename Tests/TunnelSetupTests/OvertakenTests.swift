import Testing

@testable import TunnelSetup

@Suite struct OvertakenTests {
    private func runs(_ fails: (_ run: Int) -> SetupError?) async -> (count: Int, told: Int, failure: SetupError?) {
        let bench = Bench()
        var count = 0
        do throws(SetupError) {
            try await Overtaken.retry(at: "memory:", bench.context) { () throws(SetupError) in
                count += 1
                if let failure = fails(count) { throw failure }
            }
            return (count, bench.told.count, nil)
        } catch { return (count, bench.told.count, error) }
    }

    private func overtaken(_ isOvertaken: Bool = true) -> SetupError {
        SetupError(.output, "memory: changed", remedy: "run again", isOvertaken: isOvertaken)
    }

    @Test func beginsAnewThreeTimesAndNoMore() async {
        let late = await runs { $0 <= Overtaken.maxRestarts ? overtaken() : nil }
        #expect(late.count == 4 && late.told == 3 && late.failure == nil)
        // Two runs that take turns would go on for ever.
        let never = await runs { overtaken($0 < 50) }
        #expect(never.count == 4 && never.told == 3 && never.failure?.isOvertaken == true)
    }

    @Test func anotherFailureIsOne() async {
        let once = await runs { _ in overtaken(false) }
        #expect(once.count == 1 && once.told == 0 && once.failure?.isOvertaken == false)
    }
}
