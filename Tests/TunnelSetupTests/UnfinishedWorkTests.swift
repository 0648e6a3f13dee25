import Testing

@testable import TunnelSetup

@Suite struct UnfinishedWorkTests {
    @Test func tellsAWaitFromWorkThatWasCutOff() async throws {
        let bench = Bench()
        #expect(UnfinishedWork(in: bench.store.contents) == nil)
        bench.store.restart(crash: MemoryStore.Crash(write: 3, moment: .beforeWrite))
        _ = try? await bench.provision()
        #expect(UnfinishedWork(in: bench.store.contents) == .provisioning)
        bench.store.restart()
        try await bench.provision()
        #expect(UnfinishedWork(in: bench.store.contents) == nil)
        _ = try await bench.rotation.start()
        #expect(UnfinishedWork(in: bench.store.contents) == .revocation)
        bench.store.put(.setupState, "{")
        #expect(UnfinishedWork(in: bench.store.contents) == .provisioning)
    }
}
