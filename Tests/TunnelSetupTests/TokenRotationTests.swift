import Testing
import TunnelAPI
import TunnelsAPIFake

@testable import TunnelSetup

/// The stored token is the one in force, whatever was cut off and whatever is asked for next.
@Suite struct TokenRotationTests {
    /// A run of `options` that loses power before the write with this number.
    private func cut(_ bench: Bench, _ options: ProvisioningOptions, before write: Int) async {
        bench.store.restart(crash: MemoryStore.Crash(write: write, moment: .beforeWrite))
        _ = try? await bench.provision(options)
        bench.store.restart()
    }

    private func rotations(_ bench: Bench) -> Int { bench.api.audit.filter { $0.kind == .tokenRotated }.count }

    // MARK: Token

    /// The token was rotated to version 2 and not stored. What is asked for then, what is stored after it, how often it
    /// was rotated.
    static let wishes: [(String?, stored: String, rotations: Int)] = [
        (nil, "2", 1), ("1", "1", 1), ("2", "2", 1), ("3", "3", 2),
    ]

    @Test(arguments: wishes)
    func rotatedTokenIsNeverLost(_ wanted: String?, _ stored: String, _ count: Int) async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        await cut(bench, Bench.options(version: "2"), before: 1)
        #expect(bench.defects == ["the token is not in force"])
        try await bench.provision(Bench.options(version: wanted))
        #expect(bench.defects == [] && bench.store.text(.tokenVersion) == stored && rotations(bench) == count)
        #expect(bench.store.contents[.setupState] == nil)
        #expect(try await !bench.provision(Bench.options(version: wanted)).isChanged)
    }

    /// The rotation was announced and did not happen.
    @Test(arguments: [(nil, "2", 1), ("1", "1", 0), ("2", "2", 1)] as [(String?, String, Int)])
    func announcedRotationIsFinishedOrCalledOff(_ wanted: String?, _ stored: String, _ count: Int) async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        bench.store.restart(crash: MemoryStore.Crash(write: 0, moment: .afterWrite))
        _ = try? await bench.provision(Bench.options(version: "2"))
        bench.store.restart()
        try await bench.provision(Bench.options(version: wanted))
        #expect(bench.defects == [] && bench.store.text(.tokenVersion) == stored && rotations(bench) == count)
        #expect(bench.store.contents[.setupState] == nil)
    }

    @Test func refusedRotationLeavesNoNote() async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        bench.api.fail(.answer(403, "POST", "/v1/tunnels/*/rotate_token"))
        await #expect(throws: SetupError.self) { try await bench.provision(Bench.options(version: "2")) }
        #expect(bench.store.contents[.setupState] == nil)
        try await bench.provision()
        #expect(rotations(bench) == 0 && bench.store.text(.tokenVersion) == "1")
    }

    @Test func newVersionRotatesATokenThatIsMissingToo() async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        bench.store.put(.tunnelToken, nil)
        let result = try await bench.provision(Bench.options(version: "2"))
        #expect(result.tokenAction == .rotated && rotations(bench) == 1 && bench.defects == [])
    }

    /// Without the old token nothing tells whether the announced rotation took place.
    @Test(arguments: [nil, "2"]) func rotatesAgainWhereNothingTellsWhetherItWasDone(_ wanted: String?) async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        bench.store.restart(crash: MemoryStore.Crash(write: 0, moment: .afterWrite))
        _ = try? await bench.provision(Bench.options(version: "2"))
        bench.store.restart()
        bench.store.put(.tunnelToken, nil)
        try await bench.provision(Bench.options(version: wanted))
        #expect(rotations(bench) == 1 && bench.defects == [] && bench.store.text(.tokenVersion) == "2")
    }

    /// Another run rotated before this one did, and stored its token, which is void, before this one could.
    @Test(arguments: ["1", "2"]) func overtakenRotationAsksForTheTokenInForce(_ other: String) async throws {
        let bench = Bench(store: MemoryStore(isExclusive: false))
        try await bench.provision(Bench.options(version: "0"))
        bench.store.interrupt(before: 1) {
            bench.store.put(.tunnelToken, "void")
            bench.store.put(.tokenVersion, other)
            bench.store.put(.setupState, nil)
        }
        try await bench.provision(Bench.options(version: "2"))
        #expect(bench.defects == [] && bench.store.text(.tokenVersion) == "2")
    }

    @Test(arguments: ["", " 1", "1\n", "1\u{1b}2", String(repeating: "1", count: 256)])
    func refusesAVersionThatWouldNotComeBack(_ version: String) async throws {
        let bench = Bench()
        await #expect(throws: SetupError.self) { try await bench.provision(Bench.options(version: version)) }
        await #expect(throws: SetupError.self) { try await bench.plan(Bench.options(version: version)) }
        await #expect(throws: SetupError.self) { try await bench.provision(Bench.options(displayName: version)) }
        #expect(bench.api.requests.isEmpty)
        try await bench.provision(Bench.options(displayName: "ü", version: String(repeating: "1", count: 255)))
    }

    // MARK: Token from the terminal

    private func storedTunnel(_ bench: Bench) async throws -> StoredTunnel {
        try await StoredTunnel(bench.store, expecting: bench.api.tunnels[0].id)
    }

    @Test(arguments: [0, 1], [MemoryStore.Crash.Moment.beforeWrite, .afterWrite])
    func initRepairsATokenRotationThatWasCutOff(_ write: Int, _ moment: MemoryStore.Crash.Moment) async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        var stored = try await storedTunnel(bench)
        bench.store.restart(crash: MemoryStore.Crash(write: write, moment: moment))
        _ = try? await stored.rotateToken(bench.client, context: bench.context)
        bench.store.restart()
        try await bench.provision(Bench.options(version: "1"))
        #expect(bench.defects == [] && bench.store.text(.tokenVersion) == "1" && rotations(bench) <= 1)
        #expect(bench.store.contents[.setupState] == nil)
    }

    /// The first version is the name of the stored token only where that one is in force.
    @Test func firstVersionIsNoNameForATokenThatMayBeVoid() async throws {
        let bench = Bench()
        try await bench.provision()
        var stored = try await storedTunnel(bench)
        bench.store.restart(crash: MemoryStore.Crash(write: 1, moment: .beforeWrite))
        _ = try? await stored.rotateToken(bench.client, context: bench.context)
        bench.store.restart()
        try await bench.provision(Bench.options(version: "1"))
        #expect(bench.defects == [] && bench.store.text(.tokenVersion) == "1")
    }

    @Test func rotationOfAnotherTunnelIsNoneOfThisOne() async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        var state = SetupState()
        state.tokenRotation = SetupState.PendingRotation(tunnelID: "tnl_other", version: "2")
        var changes = StoreChanges()
        try state.record(in: &changes)
        bench.store.put(.setupState, changes.values[.setupState] ?? nil)
        #expect(try await bench.provision().tokenAction == .kept && rotations(bench) == 0)
    }

    @Test func tokenIsRotatedAndStored() async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        var stored = try await storedTunnel(bench)
        _ = try await stored.rotateToken(bench.client, reason: "test", context: bench.context)
        #expect(bench.defects == [] && rotations(bench) == 1 && bench.store.contents[.setupState] == nil)
        #expect(bench.store.text(.tokenVersion) == "1")
    }

    /// What fetching does to a rotation to version 2 that was cut off: before the token changed, or after.
    @Test(arguments: [(0, MemoryStore.Crash.Moment.afterWrite, "1"), (1, .beforeWrite, "2")])
    func fetchingFinishesARotation(_ write: Int, _ moment: MemoryStore.Crash.Moment, _ version: String) async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        bench.store.restart(crash: MemoryStore.Crash(write: write, moment: moment))
        _ = try? await bench.provision(Bench.options(version: "2"))
        bench.store.restart()
        var stored = try await storedTunnel(bench)
        _ = try await stored.fetchToken(bench.client)
        #expect(bench.defects == [] && bench.store.text(.tokenVersion) == version)
        #expect((bench.store.contents[.setupState] == nil) == (version == "2"), "what is left is to be done")
        try await bench.provision(Bench.options(version: "2"))
        #expect(rotations(bench) == 1 && bench.store.text(.tokenVersion) == "2")
    }

    @Test func storedTunnelIsNoOther() async throws {
        let bench = Bench()
        try await bench.provision()
        await #expect(throws: SetupError.self) { try await StoredTunnel(bench.store, expecting: "tnl_other") }
        await #expect(throws: SetupError.self) { try await StoredTunnel(MemoryStore(), expecting: "tnl_other") }
    }
}
