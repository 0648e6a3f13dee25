import Foundation
import TunnelsAPIFake

/// The program itself, as a process of its own, and `curl` against it.
final class FakeProgram {
    let greeting: FakeJSON
    let url: String
    private let process = Process()
    private let output: FileHandle
    private var unread: [UInt8] = []

    /// Starts it on a port of the kernel's choice, and returns when it listens.
    init(_ arguments: [String] = [], environment: [String: String] = [:]) throws {
        process.executableURL = FakeProgram.executable
        process.arguments = ["--listen", "127.0.0.1:0", "--json"] + arguments
        // A build with AddressSanitizer takes what is at work when the program exits for leaks, unless it is asked not to.
        let options = ProcessInfo.processInfo.environment["ASAN_OPTIONS"]
        process.environment = environment.merging(options.map { ["ASAN_OPTIONS": $0] } ?? [:]) { $1 }
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        output = pipe.fileHandleForReading
        let line = try FakeProgram.line(from: output, &unread)
        greeting = try FakeJSON(parsing: Array(line.utf8))
        guard let url = greeting["api_url"]?.text else { throw Failure(what: line) }
        self.url = url
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    struct Failure: Error { let what: String }

    /// It stands beside the program that runs the tests.
    static var executable: URL {
        URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("tunnels-api-fake")
    }

    /// Runs it to its end.
    static func run(_ arguments: [String]) throws -> (status: Int32, output: String, errors: String) {
        try run(executable, arguments)
    }

    /// - Returns: the exit status.
    func end(_ signal: Int32) -> Int32 {
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// The next line on its standard output.
    func line() throws -> String { try FakeProgram.line(from: output, &unread) }

    private static func line(from handle: FileHandle, _ unread: inout [UInt8]) throws -> String {
        while true {
            if let end = unread.firstIndex(of: 0x0A) {
                defer { unread.removeFirst(end + 1) }
                return String(decoding: unread[..<end], as: UTF8.self)
            }
            let data = handle.availableData
            guard !data.isEmpty else { throw Failure(what: String(decoding: unread, as: UTF8.self)) }
            unread += data
        }
    }

    // MARK: curl

    struct CurlAnswer {
        /// Of curl: 18 partial, 28 timed out, 52 empty, 56 reset.
        let exitStatus: Int32
        let status: Int
        let body: [UInt8]
        var json: FakeJSON { (try? FakeJSON(parsing: body)) ?? .null }
    }

    func curl(_ path: String, _ arguments: [String] = []) throws -> CurlAnswer {
        let result = try FakeProgram.run(
            URL(fileURLWithPath: "/usr/bin/curl"),
            ["--silent", "--noproxy", "*", "--globoff", "--max-time", "60", "--write-out", "\n%{http_code}"] + arguments
                + [url + path])
        let end = result.output.lastIndex(of: "\n") ?? result.output.startIndex
        return CurlAnswer(
            exitStatus: result.status, status: Int(result.output[end...].dropFirst()) ?? 0,
            body: Array(result.output[..<end].utf8))
    }

    func post(_ path: String, _ body: String, _ arguments: [String] = []) throws -> CurlAnswer {
        try curl(path, ["--header", "content-type: application/json", "--data-binary", body] + arguments)
    }

    /// The fields of a well-formed request of the second generation.
    func fields(_ token: String) -> [String] {
        ["authorization: Bearer \(token)", "anthropic-version: 2023-06-01", "anthropic-beta: mcp-tunnels-2026-06-22"]
            .flatMap { ["--header", $0] }
    }

    /// An access token for the identity token of the greeting.
    func accessToken() throws -> String {
        let members: FakeJSON = [
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": greeting["identity_token"] ?? .null,
            "federation_rule_id": greeting["federation_rule_id"] ?? .null,
            "organization_id": greeting["organization_id"] ?? .null,
        ]
        let answer = try post(
            "/v1/oauth/token", String(decoding: members.bytes, as: UTF8.self),
            ["--header", "anthropic-beta: oauth-2025-04-20,oidc-federation-2026-04-01"])
        guard let token = answer.json["access_token"]?.text else { throw Failure(what: "\(answer.json)") }
        return token
    }

    private static func run(
        _ program: URL, _ arguments: [String]
    ) throws -> (status: Int32, output: String, errors: String) {
        let process = Process()
        (process.executableURL, process.arguments) = (program, arguments)
        let (output, errors) = (Pipe(), Pipe())
        (process.standardOutput, process.standardError) = (output, errors)
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        let complaints = try errors.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (
            process.terminationStatus, String(decoding: text, as: UTF8.self),
            String(decoding: complaints, as: UTF8.self)
        )
    }
}
