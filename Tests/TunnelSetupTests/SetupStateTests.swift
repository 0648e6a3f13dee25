import Testing

@testable import TunnelSetup

@Suite struct SetupStateTests {
    private func contents(_ text: String) -> StoreContents { StoreContents([.setupState: Array(text.utf8)]) }

    @Test func comesBackAsItWas() throws {
        var state = SetupState()
        state.creation = SetupState.Creation(displayName: "a \"b\" ü", known: ["tnl_1"], startedAt: 1)
        state.tokenRotation = SetupState.PendingRotation(tunnelID: "tnl_1", version: "2")
        var changes = StoreChanges()
        try state.record(in: &changes)
        let stored = StoreContents().applying(changes, revision: "")
        #expect(try SetupState.read(stored) == state)
    }

    @Test func isGoneWhenNoWorkIsLeft() throws {
        var changes = StoreChanges()
        try SetupState().record(in: &changes)
        #expect(contents("{}").applying(changes, revision: "").isEmpty)
        #expect(try SetupState.read(StoreContents()).isEmpty)
    }

    @Test(arguments: [
        "", "{", "[]", "{}", "{\"version\":2}", "{\"version\":\"1\"}", "{\"version\":1,\"authority\":{}}",
    ])
    func whatItCannotReadStopsEverything(_ text: String) {
        let error = #expect(throws: SetupError.self) { try SetupState.read(contents(text)) }
        #expect(error?.hop == .state && error?.reason.contains("setup-state.json") == true)
    }

    /// Whatever the file or the clock says, no sum traps, and no wait is longer than the note's life.
    @Test(arguments: [
        (Int64(1000), Int64(1000), Int64(75)), (1000, 1074, 1), (1000, 1075, 0), (1000, 1076, 0), (1000, 999, 75),
        (.max, 1000, 75), (.max, .max, 75), (.max, .min, 75), (.min, 1000, 0), (.min, .max, 0), (.min, .min, 75),
        (0, .max, 0), (0, .min, 75),
    ]) func secondsThatAreLeft(_ row: (startedAt: Int64, now: Int64, left: Int64)) {
        let note = SetupState.Creation(displayName: "x", known: [], startedAt: row.startedAt)
        #expect(note.secondsLeft(of: 75, now: row.now) == row.left)
    }
}
