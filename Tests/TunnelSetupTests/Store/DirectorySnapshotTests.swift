import Synchronization
import Testing

@testable import TunnelSetup

/// Readers while somebody writes. The writer's steps are put between the reader's system calls, so that every meeting of
/// the two happens, and happens again.
@Suite struct DirectorySnapshotTests {
    static let before: [StoreKey: String] = [
        .caCertificate: "old ca", .serverCertificate: "old certificate", .serverKey: "old key",
        .setupState: "old state",
    ]
    static let changes: [StoreKey: String?] = [
        .tunnelID: "new id", .serverCertificate: "new certificate", .serverKey: "new key", .setupState: nil,
    ]

    /// Runs `action` once, before the reader's call with that number.
    private static func reader(
        of folder: TemporaryFolder, at number: Int, _ action: @escaping @Sendable () -> Void
    ) throws -> (folder: OpenFolder, calls: @Sendable () -> Int) {
        let counter = Mutex(0)
        var operations = FileOperations()
        operations.before = { _, _ throws(FileFailure) in
            let isNow = counter.withLock { count in
                defer { count += 1 }
                return count == number
            }
            if isNow { action() }
        }
        return (try OpenFolder.open(folder.path, operations), { counter.withLock { $0 } })
    }

    private static func journal(
        of folder: TemporaryFolder, _ operations: FileOperations = FileOperations()
    ) throws -> DirectoryJournal {
        DirectoryJournal(folder: try OpenFolder.open(folder.path, operations))
    }

    @Test func aWholeChangeBetweenAnyTwoCallsIsSeenWholeOrNot() throws {
        let after = Self.before.applying(Self.changes)
        var number = 1, hasEnded = false, retries = 0
        while !hasEnded {
            let folder = try TemporaryFolder(inMemory: true)
            let journal = try Self.journal(of: folder)
            try journal.commit(StoreChanges(Self.before))
            try journal.finish()
            let reader = try Self.reader(of: folder, at: number) {
                try? journal.commit(StoreChanges(Self.changes))
                try? journal.finish()
            }
            let first = try DirectorySnapshot(folder: reader.folder).attempt()?.texts
            if first == nil { retries += 1 }
            let seen = try first ?? DirectorySnapshot(folder: reader.folder).attempt()?.texts
            hasEnded = reader.calls() <= number
            #expect(seen == after || (seen == Self.before && first != nil), "before call \(number)")
            number += 1
        }
        #expect(retries > 5)
    }

    /// The writer is stopped in each place of its work while the reader goes on.
    @Test func halfAChangeBetweenAnyTwoCallsIsSeenWholeOrNot() throws {
        let after = Self.before.applying(Self.changes)
        var step = 0, hasEnded = false, meetings = 0
        while !hasEnded {
            var number = 1, isRead = false
            while !isRead {
                let folder = try TemporaryFolder(inMemory: true)
                let whole = try Self.journal(of: folder)
                try whole.commit(StoreChanges(Self.before))
                try whole.finish()
                let faults = Faults()
                var operations = faults.crash(at: step)
                operations.maxWriteBytes = .max
                let journal = try? Self.journal(of: folder, operations)
                let reader = try Self.reader(of: folder, at: number) {
                    try? journal?.commit(StoreChanges(Self.changes))
                    try? journal?.finish()
                }
                let seen = try DirectorySnapshot(folder: reader.folder).read()?.texts
                let isNew = faults.made.prefix(step).contains { $0.isCommit }
                isRead = reader.calls() <= number
                #expect(
                    seen == Self.before && !(isNew && number == 1) || seen == after && isNew,
                    "writer's call \(step), reader's call \(number)")
                if !isRead { hasEnded = faults.made.count <= step }
                number += 1
                meetings += 1
            }
            step += 1
        }
        #expect(meetings > 1000)
    }

    @Test func aFolderThatNeverRestsIsGivenUp() async throws {
        let folder = try TemporaryFolder(inMemory: true)
        let journal = try Self.journal(of: folder)
        let count = Mutex(0)
        var operations = FileOperations()
        operations.before = { call, path throws(FileFailure) in
            guard call == .status, path.hasSuffix("/tunnel-id") else { return }
            let value = count.withLock { count in
                count += 1
                return count
            }
            try journal.commit(StoreChanges([.tunnelID: "id \(value)"]))
            try journal.finish()
        }
        let store = try DirectoryStore.open(path: folder.path, for: .reading, operations)
        let failure = await #expect(throws: StoreError.self) { try await store.load() }
        #expect(failure?.code == .busy && failure?.reason.contains("does not stop changing") == true)
    }
}
