import Glibc
import TunnelIO
import TunnelsAPIFake

/// Where the fake's state lives between two runs. The file holds tokens and is for its owner only.
struct StateFile: Sendable {
    /// A larger file is none of ours.
    private static let maxBytes = 256 << 20

    let path: String

    struct Failure: Error, CustomStringConvertible { let description: String }

    /// - Returns: `nil` where there is no file yet.
    func load(_ configuration: FakeConfiguration) throws -> FakeTunnelsAPI? {
        guard let bytes = try read() else { return nil }
        do { return try FakeTunnelsAPI(configuration, snapshot: bytes) } catch {
            throw Failure(description: "\(path): is not a state of this version: \(error); remove it to begin anew")
        }
    }

    private func read() throws -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("open")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = Glibc.read(descriptor, &room, room.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("read")
            }
            if count == 0 { return bytes }
            bytes += room.prefix(count)
            guard bytes.count <= StateFile.maxBytes else { throw Failure(description: "\(path): is too large") }
        }
    }

    /// Puts the new state in the old one's place, whole or not at all.
    func save(_ api: FakeTunnelsAPI) throws {
        let temporary = path + ".new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("create") }
        var rest = api.snapshot()[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count >= 0 || errno == EINTR else {
                let failure = failure("write")
                close(descriptor)
                throw failure
            }
            rest = rest.dropFirst(max(0, count))
        }
        close(descriptor)
        guard rename(temporary, path) == 0 else { throw failure("rename") }
    }

    private func failure(_ operation: String) -> Failure {
        Failure(description: "\(path): \(operation): \(IOError.text(of: errno))")
    }
}
