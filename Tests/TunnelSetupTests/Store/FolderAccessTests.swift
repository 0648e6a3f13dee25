import Glibc
import Synchronization
import Testing

@testable import TunnelSetup

/// Whose folder may be written, and as whom. The attacks themselves are in the end-to-end tests.
@Suite struct FolderAccessTests {
    private static func open(_ path: String, ownedBy owner: FolderOwner? = nil) throws(StoreError) {
        _ = try DirectoryStore.open(path: path, for: .writing, ownedBy: owner)
    }

    private static func refusal(_ path: String, ownedBy owner: FolderOwner? = nil) -> StoreError? {
        do throws(StoreError) {
            try open(path, ownedBy: owner)
            return nil
        } catch { return error }
    }

    @Test(arguments: [(0o700, true), (0o755, true), (0o720, false), (0o702, false), (0o1777, false), (0o2770, false)])
    func aFolderThatOthersCanWriteNeedsItsOwnersName(_ row: (mode: mode_t, isTaken: Bool)) throws {
        let folder = try TemporaryFolder()
        chmod(folder.path, row.mode)
        let refusal = Self.refusal(folder.path)
        #expect((refusal == nil) == row.isTaken)
        guard let refusal else { return }
        #expect(refusal.code == .denied && refusal.remedy.contains("--output-owner=\(geteuid())"))
        #expect(TemporaryFolder.names(in: folder.path).isEmpty)
        try Self.open(folder.path, ownedBy: FolderOwner(userID: geteuid()))
        let other = try #require(Self.refusal(folder.path, ownedBy: FolderOwner(userID: geteuid() &+ 1)))
        #expect(other.code == .denied && other.reason.contains("belongs to user \(geteuid()), not to"))
    }

    @Test func aReaderIsRefusedNothingButAnotherOwner() async throws {
        let folder = try TemporaryFolder()
        try folder.write("t.example", to: "tunnel-domain")
        chmod(folder.path, 0o777)
        for owner in [nil, FolderOwner(userID: geteuid())] {
            let store = try DirectoryStore.open(path: folder.path, for: .reading, ownedBy: owner)
            #expect(try await store.load().texts[.tunnelDomain] == "t.example")
        }
        let other = FolderOwner(userID: geteuid() &+ 1)
        let store = try DirectoryStore.open(path: folder.path, for: .reading, ownedBy: other)
        let failure = await #expect(throws: StoreError.self) { try await store.load() }
        #expect(failure?.code == .denied && failure?.reason.contains("belongs to user \(geteuid()), not to") == true)
        // A folder that is not there is nobody's.
        let absent = try DirectoryStore.open(path: folder.path("none"), for: .reading, ownedBy: other)
        #expect(try await absent.load().isEmpty)
    }

    /// By who can make names beside it: neither the folder that was opened nor the one that took its place is written.
    @Test func aFolderThatIsExchangedWhileItIsOpenedIsRefused() throws {
        let place = try TemporaryFolder()
        let (path, old) = (place.path("data"), place.path("old"))
        try #require(mkdir(path, 0o700) == 0)
        let isExchanged = Mutex(false)
        var operations = FileOperations()
        operations.before = { call, name throws(FileFailure) in
            guard call == .status, name == path else { return }
            isExchanged.withLock { isDone in
                if !isDone { isDone = rename(path, old) == 0 && mkdir(path, 0o700) == 0 }
            }
        }
        let failure = #expect(throws: StoreError.self) {
            _ = try DirectoryStore.open(path: path, for: .writing, operations)
        }
        #expect(failure?.code == .denied && failure?.reason.contains("came to mean another folder") == true)
        #expect(isExchanged.withLock { $0 })
        #expect(TemporaryFolder.names(in: path).isEmpty && TemporaryFolder.names(in: old).isEmpty)
    }

    @Test(arguments: [
        ("0", UInt32(0)), ("65532", 65532), ("root", 0), ("4294967294", 4_294_967_294), ("4294967295", nil),
        ("4294967296", nil), ("-1", nil), ("+1", nil), ("", nil), ("no such user", nil), ("root\u{0}", nil),
    ]) func ownersAreNamesAndNumbers(_ row: (text: String, userID: UInt32?)) {
        #expect(FolderOwner(row.text)?.userID == row.userID)
    }

    /// What another user may do to root, and not to anybody else.
    @Suite(.enabled(if: geteuid() == 0, "root alone can become another user")) struct AsRoot {
        private static let owner: uid_t = 65_531

        private func folder(in place: TemporaryFolder, mode: mode_t = 0o700) throws -> String {
            let path = place.path("data")
            try #require(mkdir(path, mode) == 0 && chown(path, Self.owner, Self.owner) == 0)
            return path
        }

        @Test func inAFolderOfSomebodyElseEverythingIsTheOwners() async throws {
            let place = try TemporaryFolder()
            let path = try folder(in: place)
            let store = try DirectoryStore.open(path: path, for: .writing)
            let contents = try await store.write(StoreChanges([.serverKey: "k", .tunnelID: "t"]), over: store.load())
            _ = try await store.write(StoreChanges([.serverKey: "k2", .tunnelID: nil]), over: contents)
            for name in TemporaryFolder.names(in: path) {
                let status = try place.status(of: "data/\(name)")
                #expect(status.st_uid == Self.owner && status.st_gid == Self.owner, "\(name)")
            }
            #expect(try place.mode(of: "data/tls.key") == 0o600)
            // And the thread is root's again.
            try place.write("x", to: "mine")
            #expect(try place.status(of: "mine").st_uid == 0)
            #expect(getgroups(0, nil) >= 0 && access("/etc/shadow", R_OK) == 0)
        }

        @Test(arguments: [true, false]) func whatTheOwnerCannotReadRootDoesNot(_ isLink: Bool) async throws {
            let place = try TemporaryFolder()
            chmod(place.path, 0o755)
            let path = try folder(in: place)
            try place.write("root's own", to: "secret")
            if isLink {
                try #require(symlink(place.path("secret"), "\(path)/tunnel-domain") == 0)
                lchown("\(path)/tunnel-domain", Self.owner, Self.owner)
            } else {
                try place.write("root's own", to: "data/tunnel-domain")
            }
            for purpose in [DirectoryStore.Purpose.reading, .writing] {
                let store = try DirectoryStore.open(path: path, for: purpose)
                let failure = await #expect(throws: StoreError.self) { try await store.load() }
                #expect(failure?.reason.hasSuffix("permission denied") == true, "\(failure as Any)")
            }
        }

        @Test func aPlaceWhereOthersCanMakeNamesNeedsTheOwnersName() throws {
            let place = try TemporaryFolder()
            let path = try folder(in: place)
            try FolderAccessTests.open(path)
            for (user, mode) in [(0, 0o1777), (0, 0o770), (Self.owner, 0o700)] as [(uid_t, mode_t)] {
                try #require(chown(place.path, user, 0) == 0 && chmod(place.path, mode) == 0)
                let refusal = try #require(FolderAccessTests.refusal(path))
                #expect(refusal.reason.contains("belongs to user 65531") && refusal.code == .denied)
                #expect(refusal.remedy.hasSuffix("--output-owner=65531"))
                try FolderAccessTests.open(path, ownedBy: FolderOwner(userID: Self.owner))
            }
        }

        @Test(arguments: ["link", "link/"]) func aStrangersLinkToTheFolderIsNotFollowed(_ name: String) throws {
            let place = try TemporaryFolder()
            try #require(mkdir(place.path("real"), 0o700) == 0)
            for (user, isFollowed) in [(65_530, false), (0, true)] as [(uid_t, Bool)] {
                unlink(place.path("link"))
                try #require(symlink("real", place.path("link")) == 0)
                lchown(place.path("link"), user, user)
                let refusal = FolderAccessTests.refusal(place.path(name))
                #expect((refusal == nil) == isFollowed)
                #expect(TemporaryFolder.names(in: place.path("real")).isEmpty != isFollowed)
                guard let refusal else { continue }
                #expect(refusal.code == .denied && refusal.reason.contains("symbolic link that user 65530 made"))
            }
        }

        @Test func aStrangersLinkIsNotFollowed() async throws {
            let place = try TemporaryFolder()
            try place.write("d.example", to: "domain")
            for (user, isFollowed) in [(0, true), (geteuid(), true), (65_530, false)] as [(uid_t, Bool)] {
                unlink(place.path("tunnel-domain"))
                try #require(symlink("domain", place.path("tunnel-domain")) == 0)
                lchown(place.path("tunnel-domain"), user, user)
                let store = try DirectoryStore.open(path: place.path, for: .reading)
                if isFollowed {
                    #expect(try await store.load().text(.tunnelDomain) == "d.example")
                } else {
                    let failure = await #expect(throws: StoreError.self) { try await store.load() }
                    #expect(failure?.code == .denied && failure?.reason.contains("belongs to user 65530") == true)
                }
            }
        }

        @Test(arguments: ["journal", "value", "second name", "link"])
        func aJournalThatIsNotOursIsRefused(_ what: String) async throws {
            let place = try TemporaryFolder()
            try place.write("mine", to: "ca.crt")
            let journal = place.path(".setup-journal")
            try #require(mkdir(journal, 0o700) == 0)
            try place.write("forged", to: ".setup-journal/ca.crt")
            switch what {
            case "journal": chown(journal, 65_530, 65_530)
            case "value": chown("\(journal)/ca.crt", 65_530, 65_530)
            case "second name": try #require(Glibc.link("\(journal)/ca.crt", place.path("other")) == 0)
            default:
                unlink("\(journal)/ca.crt")
                try #require(symlink("/etc/passwd", "\(journal)/ca.crt") == 0)
            }
            let refusal = try #require(FolderAccessTests.refusal(place.path))
            #expect(refusal.reason.contains(".setup-journal"))
            let reader = try DirectoryStore.open(path: place.path, for: .reading)
            await #expect(throws: StoreError.self) { try await reader.load() }
            #expect(place.text(of: "ca.crt") == "mine")
        }
    }
}
