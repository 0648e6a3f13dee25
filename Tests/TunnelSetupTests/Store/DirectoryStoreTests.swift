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

    /// What anybody else has changed since the values were read is not written over.
    @Test(arguments: [StoreKey.tunnelToken, .setupState]) func aChangeBySomebodyElseIsAConflict(
        _ key: StoreKey
    ) async throws {
        let folder = try TemporaryFolder()
        let store = try DirectoryStore.open(path: folder.path, for: .writing)
        let contents = try await store.write(
            StoreChanges([.tunnelToken: "t-1", .serverKey: "k-1"]), over: store.load())
        try folder.write("by hand", to: key.rawValue)
        let failure = await #expect(throws: StoreError.self) {
            try await store.write(StoreChanges([.serverKey: "k-2"]), over: contents)
        }
        #expect(failure?.code == .conflict && failure?.reason.contains(" \(key) ") == true)
        #expect(failure?.description.contains("by hand") == false)
        #expect(folder.text(of: "tls.key") == "k-1" && folder.text(of: key.rawValue) == "by hand")
        // With what is there now it is none.
        _ = try await store.write(StoreChanges([.serverKey: "k-2"]), over: store.load())
        #expect(folder.text(of: "tls.key") == "k-2" && folder.text(of: key.rawValue) == "by hand")
    }

    @Test func foreignFilesStay() async throws {
        let folder = try TemporaryFolder()
        try folder.write("mine", to: "README", mode: 0o640)
        let store = try DirectoryStore.open(path: folder.path, for: .writing)
        _ = try await store.write(StoreChanges(Self.everything), over: store.load())
        #expect(folder.text(of: "README") == "mine")
        #expect(try folder.mode(of: "README") == 0o640)
    }

    @Test func aValueMayHaveAsManyBytesAsIsSaid() async throws {
        let folder = try TemporaryFolder()
        let store = try DirectoryStore.open(path: folder.path, for: .writing)
        let most = String(repeating: "x", count: StoreContents.maxValueBytes)
        let contents = try await store.write(StoreChanges([.serverKey: most]), over: store.load())
        #expect(try await store.load().texts == [.serverKey: most])
        let failure = await #expect(throws: StoreError.self) {
            try await store.write(StoreChanges([.serverKey: most + "x"]), over: contents)
        }
        #expect(failure?.code == .malformed && failure?.reason.contains("tls.key would have 65537 bytes") == true)
        #expect(folder.text(of: "tls.key") == most)
        try folder.write(most + "x", to: "tls.key")
        let unread = await #expect(throws: StoreError.self) { try await store.load() }
        #expect(unread?.code == .malformed && unread?.reason == "\(folder.path)/tls.key is larger than 65536 bytes")
    }

    /// What may lie where a file should be, and what is said about it.
    static let obstacles: [(kind: String, make: @Sendable (String) -> CInt, says: String)] = [
        ("folder", { mkdir($0, 0o700) }, "is a folder, not a file"),
        ("pipe", { mkfifo($0, 0o600) }, "is a named pipe, not a file"),
        ("device", { symlink("/dev/zero", $0) }, "is a device, not a file"),
        ("link to nothing", { symlink("/no/such/file", $0) }, "is a symbolic link to nothing"),
        ("link to itself", { symlink("ca.key", $0) }, "too many levels of symbolic links"),
        ("socket", { listen(at: $0) }, "is a socket, not a file"),
    ]

    @Test(arguments: obstacles.indices) func whatIsNoFileIsNamed(_ index: Int) async throws {
        let (_, make, says) = Self.obstacles[index]
        let folder = try TemporaryFolder()
        try #require(make(folder.path("ca.key")) == 0)
        for purpose in [DirectoryStore.Purpose.reading, .writing] {
            let store = try DirectoryStore.open(path: folder.path, for: purpose)
            let failure = await #expect(throws: StoreError.self) { try await store.load() }
            #expect(failure?.reason.contains("\(folder.path)/ca.key") == true)
            #expect(failure?.reason.contains(says) == true, "\(failure as Any)")
        }
        let store = try DirectoryStore.open(path: folder.path, for: .writing)
        await #expect(throws: StoreError.self) {
            try await store.write(StoreChanges([.caKey: "key"]), over: StoreContents())
        }
        #expect(folder.names == ["ca.key"])
    }

    private static func listen(at path: String) -> CInt {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// An operator may keep the CA's key on a medium of its own.
    @Test func aLinkIsFollowedToReadAndReplacedToWrite() async throws {
        let (folder, medium) = (try TemporaryFolder(), try TemporaryFolder())
        try medium.write("old key", to: "key")
        try #require(symlink(medium.path("key"), folder.path("ca.key")) == 0)
        let store = try DirectoryStore.open(path: folder.path, for: .writing)
        let contents = try await store.load()
        #expect(contents.texts == [.caKey: "old key"])
        _ = try await store.write(StoreChanges([.caKey: "new key"]), over: contents)
        #expect(try folder.status(of: "ca.key").st_mode & S_IFMT == S_IFREG)
        #expect(folder.text(of: "ca.key") == "new key" && medium.text(of: "key") == "old key")
    }

    @Test func theUmaskChangesNoMode() async throws {
        let folder = try TemporaryFolder()
        let before = umask(0o077)
        defer { umask(before) }
        let store = try DirectoryStore.open(path: folder.path, for: .writing)
        _ = try await store.write(StoreChanges([.tunnelDomain: "d", .serverKey: "k"]), over: store.load())
        #expect(try folder.mode(of: "tunnel-domain") == 0o644 && folder.mode(of: "tls.key") == 0o600)
    }

    /// The containers run as 65532; root may run setup.
    @Test(.enabled(if: geteuid() == 0, "only root can make files of others"))
    func whatRootWritesBelongsToTheOwnerOfTheFolder() async throws {
        let place = try TemporaryFolder()
        let path = place.path("data")
        try #require(mkdir(path, 0o700) == 0 && chown(path, 65532, 65533) == 0)
        try place.write("old", to: "data/tls.key", mode: 0o644)
        chown(place.path("data/tls.key"), 65532, 65533)
        do {
            let store = try DirectoryStore.open(path: path, for: .writing)
            _ = try await store.write(StoreChanges([.serverKey: "new", .tunnelID: "t"]), over: store.load())
        }
        for name in [".setup.lock", "tls.key", "tunnel-id"] {
            let status = try place.status(of: "data/\(name)")
            #expect(status.st_uid == 65532 && status.st_gid == 65533, "\(name)")
        }
        #expect(try place.mode(of: "data/tls.key") == 0o600 && place.mode(of: "data/.setup.lock") == 0o600)
        // What a crash leaves must not keep the owner's own run from finishing.
        let whole = Faults()
        do {
            let store = try DirectoryStore.open(path: path, for: .writing, whole.none())
            _ = try await store.write(StoreChanges([.serverKey: "newer"]), over: store.load())
        }
        let commit = try #require(whole.made.firstIndex { $0.isCommit })
        let store = try DirectoryStore.open(path: path, for: .writing, Faults().crash(at: commit))
        await #expect(throws: StoreError.self) {
            try await store.write(StoreChanges([.serverKey: "newest"]), over: store.load())
        }
        for name in [".setup-journal.tmp", ".setup-journal.tmp/tls.key"] {
            #expect(try place.status(of: "data/\(name)").st_uid == 65532, "\(name)")
        }
    }

    @Test func aJournalWithForeignFilesIsLeftAlone() async throws {
        let folder = try TemporaryFolder()
        mkdir(folder.path(".setup-journal"), 0o700)
        try folder.write("mine", to: ".setup-journal/notes")
        try folder.write("id", to: ".setup-journal/tunnel-id")
        let failure = #expect(throws: StoreError.self) {
            _ = try DirectoryStore.open(path: folder.path, for: .writing)
        }
        #expect(failure?.code == .malformed && failure?.reason.contains("/.setup-journal: directory not empty") == true)
        #expect(folder.text(of: ".setup-journal/notes") == "mine" && folder.text(of: "tunnel-id") == "id")
    }

    @Test(arguments: ["", "a\0b"]) func aPathThatIsNoneIsRefused(_ path: String) {
        #expect(throws: StoreError(.notFound, "", remedy: "")) {
            _ = try DirectoryStore.open(path: path, for: .reading)
        }
    }

    @Test func aFileIsNoFolder() async throws {
        let folder = try TemporaryFolder()
        try folder.write("x", to: "data")
        let failure = #expect(throws: StoreError.self) {
            _ = try DirectoryStore.open(path: folder.path("data"), for: .writing)
        }
        #expect(failure?.code == .notFound)
        #expect(failure?.description == "open \(folder.path)/data: not a directory (name a folder that is one)")
        await #expect(throws: StoreError(.notFound, "", remedy: "")) {
            try await DirectoryStore.open(path: folder.path("data"), for: .reading).load()
        }
    }
}
