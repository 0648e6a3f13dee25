import Glibc

/// A folder of its own for one test, removed with everything in it. What a test needs of files, it does here by path and
/// without the code under test.
final class TemporaryFolder: Sendable {
    let path: String

    /// - Parameter inMemory: for tests that write thousands of files, of which none needs a disk.
    init(inMemory: Bool = false) throws {
        let place = inMemory && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(place)/store-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestFailure("mkdtemp: \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { TemporaryFolder.removeTree(path) }

    func path(_ name: String) -> String { "\(path)/\(name)" }

    /// All names there, sorted, the lock's aside.
    var names: [String] { TemporaryFolder.names(in: path).filter { $0 != ".setup.lock" } }

    static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func removeTree(_ path: String) {
        for name in names(in: path) where unlink("\(path)/\(name)") != 0 { removeTree("\(path)/\(name)") }
        rmdir(path)
    }

    func write(_ text: String, to name: String, mode: mode_t = 0o600) throws {
        let descriptor = open(path(name), O_WRONLY | O_CREAT | O_TRUNC, mode)
        guard descriptor >= 0 else { throw TestFailure("open \(name): \(errno)") }
        defer { close(descriptor) }
        guard Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count else {
            throw TestFailure("write \(name): \(errno)")
        }
        chmod(path(name), mode)
    }

    /// `nil` if there is no such file.
    func text(of name: String) -> String? {
        let descriptor = open(path(name), O_RDONLY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
    }

    func status(of name: String = ".") throws -> stat {
        var status = stat()
        guard lstat(path(name), &status) == 0 else { throw TestFailure("lstat \(name): \(errno)") }
        return status
    }

    func mode(of name: String = ".") throws -> mode_t { try status(of: name).st_mode & 0o7777 }
}

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
