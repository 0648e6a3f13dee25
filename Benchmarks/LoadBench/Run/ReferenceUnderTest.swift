import Glibc

/// The reference proxy of `Benchmarks/Reference`: the same tunnel as ours, from Go's own parts.
final class ReferenceUnderTest: MeasuredServer {
    let name = "reference"
    let mode = LoadTarget.Mode.tunnel
    let port: UInt16
    let startSeconds: Double
    let logFiles: [String]
    private let child: ChildProcess

    init(_ workshop: Workshop, identity: Workshop.Identity, program: String) throws {
        port = try workshop.freePort()
        let files = try workshop.files(identity)
        logFiles = ["\(workshop.directory)/reference-\(port).log"]
        let started = Clock.now()
        child = try ChildProcess(
            program,
            [
                "-listen", "127.0.0.1:\(port)", "-cert", files.certificate, "-key", files.key,
                "-upstream", "http://127.0.0.1:\(workshop.upstreamPort)",
            ], errorFile: logFiles[0])
        do throws(BenchError) {
            startSeconds = try Self.awaitPort(port, of: name) - started
        } catch {
            child.stop()
            throw BenchError("\(error)\n" + String(decoding: TextFile.read(logFiles[0]) ?? [], as: UTF8.self))
        }
    }

    var processes: [pid_t] { [child.process] }
}
