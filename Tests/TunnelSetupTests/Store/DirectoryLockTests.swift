import Glibc
import Testing

@testable import TunnelSetup

@Suite struct DirectoryLockTests {
    @Test func aSecondWriterIsToldAtOnceWhoHoldsTheFolder() async throws {
        let folder = try TemporaryFolder()
        try await holding(folder) {
            let failure = #expect(throws: StoreError.self) {
                _ = try DirectoryStore.open(path: folder.path, for: .writing)
            }
            #expect(failure?.code == .busy)
            #expect(
                failure?.reason.contains("(process \(getpid()), as numbered where it runs) holds \(folder.path)")
                    == true)
            // Nor has it done anything to what the first one holds.
            #expect(folder.text(of: ".setup.lock") == "\(getpid())\n")
        }
        _ = try DirectoryStore.open(path: folder.path, for: .writing)
        #expect(folder.text(of: ".setup.lock") == "\(getpid())\n")
    }

    private func holding(_ folder: TemporaryFolder, _ body: () async throws -> Void) async throws {
        let first = try DirectoryStore.open(path: folder.path, for: .writing)
        try await body()
        #expect(try await first.load().isEmpty)
    }

    /// As a run that was killed leaves it.
    @Test func aFileThatNobodyLocksIsNoLock() throws {
        let folder = try TemporaryFolder()
        try folder.write("1\n", to: ".setup.lock")
        _ = try DirectoryStore.open(path: folder.path, for: .writing)
        #expect(folder.text(of: ".setup.lock") == "\(getpid())\n")
    }

    @Test(arguments: ["", "no number\n", "12345678901234567890\n"]) func aHolderThatCannotBeReadIsNotNamed(
        _ text: String
    ) async throws {
        let folder = try TemporaryFolder()
        try await holding(folder) {
            try folder.write(text, to: ".setup.lock")
            let failure = #expect(throws: StoreError.self) {
                _ = try DirectoryStore.open(path: folder.path, for: .writing)
            }
            #expect(failure?.code == .busy && failure?.reason.hasPrefix("another run of setup holds ") == true)
        }
    }

    @Test func aLinkInPlaceOfTheLockIsNotFollowed() throws {
        let folder = try TemporaryFolder()
        try #require(symlink(folder.path("elsewhere"), folder.path(".setup.lock")) == 0)
        #expect(throws: StoreError.self) { _ = try DirectoryStore.open(path: folder.path, for: .writing) }
        #expect(folder.names.isEmpty)
    }
}
