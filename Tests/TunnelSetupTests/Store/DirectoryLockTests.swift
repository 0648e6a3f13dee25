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

    /// As a child has that another thread starts at that moment, until it becomes another program.
    @Test func aCopyOfTheDescriptorHoldsNothing() async throws {
        let folder = try TemporaryFolder()
        var copy: CInt = -1
        try await holding(folder) {
            for number in CInt(0)..<1024 {
                var (open, named) = (stat(), stat())
                guard fstat(number, &open) == 0, stat(folder.path(".setup.lock"), &named) == 0 else { continue }
                if open.st_ino == named.st_ino && open.st_dev == named.st_dev { copy = dup(number) }
            }
        }
        #expect(copy >= 0)
        _ = try DirectoryStore.open(path: folder.path, for: .writing)
        close(copy)
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

    /// What is emptied and written must be a lock and nothing else.
    @Test(arguments: [
        ("a folder", "is a folder, not a file"), ("a pipe", "is a named pipe, not a file"),
        ("a link", "is a symbolic link, not a file"), ("a device", "is a symbolic link, not a file"),
        ("a second name", "has a second name"),
    ]) func whatIsNoLockIsNamed(_ row: (kind: String, says: String)) throws {
        let folder = try TemporaryFolder()
        let path = folder.path(".setup.lock")
        try folder.write("precious", to: "notes")
        let made =
            switch row.kind {
            case "a folder": mkdir(path, 0o700)
            case "a pipe": mkfifo(path, 0o600)
            case "a link": symlink(folder.path("notes"), path)
            case "a device": symlink("/dev/null", path)
            default: Glibc.link(folder.path("notes"), path)
            }
        try #require(made == 0)
        let failure = #expect(throws: StoreError.self) {
            _ = try DirectoryStore.open(path: folder.path, for: .writing)
        }
        #expect(failure?.reason.contains("\(path) \(row.says)") == true, "\(failure as Any)")
        #expect(folder.text(of: "notes") == "precious")
    }
}
