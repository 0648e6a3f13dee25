import Foundation
import Testing

/// Runs the `openssl` command in a folder of its own, which goes away with it.
final class OpenSSLTool {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("tunnel-pki-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        try Data(bytes).write(to: folder.appendingPathComponent(name))
    }

    func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }

    func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    /// Runs `openssl` with these arguments, split at spaces, and requires that it succeeds.
    /// - Returns: what it printed.
    @discardableResult func run(_ arguments: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> String
    {
        let (status, output) = try attempt(arguments)
        try #require(status == 0, "openssl \(arguments): \(output)", sourceLocation: sourceLocation)
        return output
    }

    /// - Returns: exit status, and standard output and error together.
    func attempt(_ arguments: String) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments.split(separator: " ").map(String.init)
        process.currentDirectoryURL = folder
        process.standardInput = FileHandle.nullDevice
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
