import Glibc
import Testing

@testable import TunnelSetup

@Suite struct DirectoryStoreTests {
    static let everything: [StoreKey: String?] = Dictionary(
        uniqueKeysWithValues: StoreKey.allCases.map { ($0, "the \($0)\n") })

    @Test func whatIsWrittenIsReadByNameWithItsMode() async throws {
        let folder = try TemporaryFolder()
        let store = try DirectoryStore.open(path: folder.path, for: .writing)
        #expect(store.isExclusive && store.location == "dir:\(folder.path)")
        let empty = try await store.load()
        #expect(empty.isEmpty)
        let written = try await store.write(StoreChanges(Self.everything), over: empty)
        #expect(written.texts == Self.everything.compactMapValues { $0 })
        #expect(try await store.load().texts == written.texts)
        #expect(folder.names == StoreKey.allCases.map(\.rawValue).sorted())
        for key in StoreKey.allCases {
            #expect(folder.text(of: key.rawValue) == "the \(key)\n")
            #expect(try folder.mode(of: key.rawValue) == (key.isSecret ? 0o600 : 0o644), "\(key)")
        }
    }

    @Test func aReaderNeedsNoLockAndLeavesNothing() async throws {
        let folder = try TemporaryFolder()
        try folder.write("t-1\n", to: "tunnel-id")
        let reader = try DirectoryStore.open(path: folder.path, for: .reading)
        #expect(!reader.isExclusive)
        #expect(try await reader.load().text(.tunnelID) == "t-1")
        #expect(TemporaryFolder.names(in: folder.path) == ["tunnel-id"])
        await #expect(throws: StoreError(.notWritable, "", remedy: "")) {
            try await reader.write(StoreChanges([.tunnelID: "t-2"]), over: StoreContents())
        }
        let writer = try DirectoryStore.open(path: folder.path, for: .writing)
        #expect(try await reader.load().texts == writer.load().texts)
    }

    @Test func aFolderThatIsNotThereIsEmptyToReadersAndMadeForWriters() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("data")
        #expect(try await DirectoryStore.open(path: path, for: .reading).load().isEmpty)
        #expect(folder.names.isEmpty)
        _ = try DirectoryStore.open(path: path, for: .writing)
        #expect(try folder.mode(of: "data") == 0o700)
        let deep = #expect(throws: StoreError.self) {
            _ = try DirectoryStore.open(path: folder.path("no/data"), for: .writing)
        }
        #expect(deep?.code == .notFound)
        #expect(
            deep?.description.contains("\(folder.path)/no/data: no such file or directory (make the folder") == true)
    }
}
