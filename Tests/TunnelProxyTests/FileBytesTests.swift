import Glibc
import Testing

@testable import TunnelProxy

@Suite struct FileBytesTests {
    @Test(arguments: [0, 1, 65_536, 65_537, 200_000]) func readsAll(_ count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let path = try TestIdentity.write(bytes, to: "\(TestIdentity.directory)/bytes-\(count)")
        #expect(try FileBytes.read(path) == bytes)
    }

    @Test func stopsAtTheLimit() throws {
        let path = "\(TestIdentity.directory)/large"
        try TestIdentity.write([UInt8](repeating: 0, count: FileBytes.maxSize), to: path)
        #expect(try FileBytes.read(path).count == FileBytes.maxSize)
        try TestIdentity.write([UInt8](repeating: 0, count: FileBytes.maxSize + 1), to: path)
        #expect(throws: FileError(description: "read \(path): larger than \(FileBytes.maxSize) bytes")) {
            try FileBytes.read(path)
        }
        unlink(path)
    }

    @Test func namesThePathAndTheReason() {
        #expect(throws: FileError(description: "open /nonexistent: no such file or directory")) {
            try FileBytes.read("/nonexistent")
        }
        #expect(throws: FileError(description: "read /tmp: is a directory")) { try FileBytes.read("/tmp") }
    }
}
