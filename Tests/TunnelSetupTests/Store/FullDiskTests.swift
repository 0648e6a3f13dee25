import Glibc
import Testing

@testable import TunnelSetup

private let canMount: Bool = {
    guard let folder = try? TemporaryFolder() else { return false }
    defer { umount2(folder.path, CInt(MNT_DETACH)) }
    return mount("tmpfs", folder.path, "tmpfs", 0, "size=64k,mode=700") == 0
}()

/// A real disk that is full, and one that cannot be written.
@Suite(.enabled(if: canMount, "a file system can be mounted by root only")) struct FullDiskTests {
    static let old: [StoreKey: String?] = [.serverKey: "old key", .serverCertificate: "old certificate"]
    static let new: [StoreKey: String?] = [
        .serverKey: "new key", .serverCertificate: String(repeating: "c", count: 20_000),
        .caCertificate: String(repeating: "a", count: 20_000),
    ]

    @Test func aFullDiskKeepsTheOldValues() async throws {
        let folder = try TemporaryFolder()
        try #require(mount("tmpfs", folder.path, "tmpfs", 0, "size=64k,mode=700") == 0)
        defer { umount2(folder.path, CInt(MNT_DETACH)) }
        let store = try DirectoryStore.open(path: folder.path, for: .writing)
        let contents = try await store.write(StoreChanges(Self.old), over: store.load())
        try folder.write(String(repeating: "x", count: 16_384), to: "ballast")
        let failure = await #expect(throws: StoreError.self) {
            try await store.write(StoreChanges(Self.new), over: contents)
        }
        #expect(failure?.code == .notWritable)
        #expect(failure?.reason.hasSuffix("no space left on device; nothing was changed") == true, "\(failure as Any)")
        #expect(failure?.remedy == "free space and run setup again")
        #expect(try await store.load().texts == contents.texts)
        #expect(folder.names == ["ballast", "tls.crt", "tls.key"])

        // A disk without a single free block can still be opened, read, and have something removed once there is room.
        unlink(folder.path("ballast"))
        _ = try await store.write(StoreChanges(Self.new), over: contents)
        #expect(try await store.load().texts == Self.new.compactMapValues { $0 })
    }

    @Test func aReadOnlyDiskCanBeReadOnly() async throws {
        let folder = try TemporaryFolder()
        try #require(mount("tmpfs", folder.path, "tmpfs", 0, "size=64k,mode=700") == 0)
        defer { umount2(folder.path, CInt(MNT_DETACH)) }
        try folder.write("id", to: "tunnel-id")
        try #require(mount("tmpfs", folder.path, "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), "size=64k,mode=700") == 0)
        let failure = #expect(throws: StoreError.self) { _ = try DirectoryStore.open(path: folder.path, for: .writing) }
        #expect(failure?.code == .notWritable)
        #expect(failure?.reason == "open \(folder.path)/.setup.lock: read-only file system")
        let reader = try DirectoryStore.open(path: folder.path, for: .reading)
        #expect(try await reader.load().texts == [.tunnelID: "id"])
    }
}
