import Glibc
import Testing

@testable import TunnelIO

@Suite struct FileBytesTests {
    /// Runs `body` with a file that holds `bytes`.
    private func withFile(_ bytes: [UInt8], _ body: (String) throws -> Void) throws {
        var template = Array("/tmp/file-bytes-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        try #require(descriptor >= 0)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            close(descriptor)
            unlink(path)
        }
        try #require(bytes.isEmpty || write(descriptor, bytes, bytes.count) == bytes.count)
        try body(path)
    }

    @Test(arguments: [0, 1, 65_536, 65_537, 200_000]) func readsAll(_ count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        try withFile(bytes) { path throws in #expect(try FileBytes.read(path) == bytes) }
    }

    @Test(arguments: [0, 10, 70_000, FileBytes.maxSize]) func stopsAtTheLimit(_ limit: Int) throws {
        try withFile([UInt8](repeating: 0, count: limit)) { path throws in
            #expect(try FileBytes.read(path, limit: limit).count == limit)
        }
        try withFile([UInt8](repeating: 0, count: limit + 1)) { path in
            #expect(throws: FileError("read", path, "larger than \(limit) bytes")) {
                try FileBytes.read(path, limit: limit)
            }
        }
    }

    @Test func namesThePathAndTheReason() {
        #expect(throws: FileError("open", "/nonexistent", "no such file or directory")) {
            try FileBytes.read("/nonexistent")
        }
        #expect(throws: FileError("read", "/tmp", "is a directory")) { try FileBytes.read("/tmp") }
        #expect(FileError("open", "/a", "b").description == "open /a: b")
    }
}
