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
}
