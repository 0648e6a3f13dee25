import Glibc
import Testing

@testable import TunnelSetup

/// A change of each kind, stopped at each of its system calls.
@Suite struct DirectoryCrashTests {
    struct Change: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let before: [StoreKey: String]
        let changes: [StoreKey: String?]
        var after: [StoreKey: String] { before.applying(changes) }
    }

    static let old = Dictionary(uniqueKeysWithValues: StoreKey.allCases.map { ($0, "old \($0)\n") })
    static let changes = [
        Change(
            testDescription: "the first values", before: [:],
            changes: Dictionary(uniqueKeysWithValues: StoreKey.allCases.map { ($0, "new \($0)\n") })),
        Change(
            testDescription: "a renewal", before: old,
            changes: [.serverKey: "new key", .serverCertificate: "new certificate", .setupState: nil]),
        Change(testDescription: "one value", before: old, changes: [.tunnelToken: "new token"]),
        Change(testDescription: "a removal", before: old, changes: [.setupState: nil, .tokenVersion: nil]),
        Change(testDescription: "of what is not there", before: [:], changes: [.setupState: nil]),
    ]

    /// The store as it is after a run without faults that stored `change.before`.
    private static func prepared(_ change: Change) async throws -> TemporaryFolder {
        let folder = try TemporaryFolder(inMemory: true)
        let store = try DirectoryStore.open(path: folder.path, for: .writing)
        _ = try await store.write(StoreChanges(change.before), over: store.load())
        return folder
    }

    /// Opens, reads and writes as a run of setup does, with faults.
    private static func run(_ change: Change, in folder: TemporaryFolder, _ operations: FileOperations) async throws {
        let store = try DirectoryStore.open(path: folder.path, for: .writing, operations)
        _ = try await store.write(StoreChanges(change.changes), over: store.load())
    }

    /// That `values` are there, for readers and for the next run, and nothing else is.
    private static func expect(_ values: [StoreKey: String], in folder: TemporaryFolder, _ when: String) async throws {
        let seen = try await DirectoryStore.open(path: folder.path, for: .reading).load().texts
        #expect(seen == values, "to a reader \(when)")
        let store = try DirectoryStore.open(path: folder.path, for: .writing)
        #expect(try await store.load().texts == values, "to the next run \(when)")
        #expect(folder.names == values.keys.map(\.rawValue).sorted(), "\(when)")
        for key in values.keys {
            #expect(folder.text(of: key.rawValue) == values[key], "\(key) \(when)")
            #expect(try folder.mode(of: key.rawValue) == (key.isSecret ? 0o600 : 0o644), "\(key) \(when)")
        }
    }

    @Test(arguments: changes) func aCrashLeavesTheOldOrTheNewValues(_ change: Change) async throws {
        var number = 0, hasEnded = false, leftOld = 0, leftNew = 0
        while !hasEnded {
            let folder = try await Self.prepared(change)
            let faults = Faults()
            do {
                try await Self.run(change, in: folder, faults.crash(at: number))
                hasEnded = true
            } catch {}
            // The rename of the journal is the moment, and nothing else.
            let isCommitted = faults.made.prefix(number).contains(where: \.isCommit)
            if isCommitted { leftNew += 1 } else { leftOld += 1 }
            try await Self.expect(
                isCommitted ? change.after : change.before, in: folder,
                "after a crash before call \(number), \(faults.made.dropFirst(number).first?.description ?? "none")")
            number += 1
        }
        // Both kinds of crashes have been there.
        #expect(leftOld > 10 && leftNew > 5)
    }

    /// The next run may be killed as well.
    @Test(arguments: changes) func aCrashWhileTheNextRunFinishesLosesNothing(_ change: Change) async throws {
        for isCommitted in [false, true] {
            var number = 0, hasEnded = false
            while !hasEnded {
                let folder = try await Self.prepared(change)
                let recorded = Faults()
                try await Self.run(change, in: try await Self.prepared(change), recorded.none())
                let commit = try #require(recorded.made.firstIndex { $0.isCommit })
                await #expect(throws: StoreError.self) {
                    try await Self.run(change, in: folder, Faults().crash(at: isCommitted ? commit + 1 : commit))
                }
                do {
                    _ = try DirectoryStore.open(path: folder.path, for: .writing, Faults().crash(at: number))
                    hasEnded = true
                } catch {}
                try await Self.expect(
                    isCommitted ? change.after : change.before, in: folder, "after a second crash before call \(number)"
                )
                number += 1
            }
            #expect(number > 10)
        }
    }

    @Test(arguments: changes, [ENOSPC, EIO, EACCES]) func aFaultIsToldAndLosesNothing(
        _ change: Change, _ error: CInt
    ) async throws {
        var number = 0, hasEnded = false
        while !hasEnded {
            let folder = try await Self.prepared(change)
            let faults = Faults()
            let when = "after error \(error) in call \(number)"
            do {
                try await Self.run(change, in: folder, faults.failure(error, at: number))
                hasEnded = number >= faults.made.count
                // Only what is not needed may fail in silence: the number of the process in the lock.
                #expect(hasEnded || faults.made[number].path.hasSuffix("/.setup.lock"), "\(when)")
                try await Self.expect(change.after, in: folder, when)
            } catch {
                let failure = try #require(error as? StoreError)
                #expect(!failure.remedy.isEmpty && failure.reason.contains(folder.path), "\(when): \(failure)")
                let isCommitted = failure.reason.contains("the new values are complete in .setup-journal there")
                if !isCommitted {
                    // Nothing is left even before the next run.
                    #expect(!folder.names.contains { $0.hasPrefix(".setup-journal") }, "\(when): \(failure)")
                }
                try await Self.expect(isCommitted ? change.after : change.before, in: folder, "\(when): \(failure)")
                try await Self.run(change, in: folder, FileOperations())
                try await Self.expect(change.after, in: folder, "and a second run \(when)")
            }
            number += 1
        }
        #expect(number > 20)
    }

    /// What a power failure could not take back: the order of synchronisations.
    @Test func everythingIsOnTheDiskBeforeTheNextStep() async throws {
        let change = Self.changes[1]
        let folder = try await Self.prepared(change)
        let faults = Faults()
        try await Self.run(change, in: folder, faults.none())
        let path = folder.path
        let steps = faults.made.filter { [.sync, .rename, .remove].contains($0.call) }.map {
            "\($0.call.rawValue) \($0.path.dropFirst(path.count))"
        }.filter { !$0.hasPrefix("remove /.setup-journal/") }
        #expect(
            steps == [
                "sync /.setup-journal.tmp/tls.crt", "sync /.setup-journal.tmp/tls.key",
                "sync /.setup-journal.tmp/setup-state.json.removed", "sync /.setup-journal.tmp",
                "rename /.setup-journal", "sync ",
            ]
                + (StoreKey.allCases.filter { ![.serverKey, .serverCertificate].contains($0) }
                + [.serverKey, .serverCertificate]).map { "rename /\($0)" }
                + ["remove /setup-state.json", "sync ", "remove /.setup-journal", "sync "])
    }
}
