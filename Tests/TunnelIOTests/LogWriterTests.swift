import Glibc
import Testing
import TunnelCore
import TunnelIO

@Suite struct LogWriterTests {
    @Test func writesLinesInOrderAndFinishes() throws {
        let pipe = try Pipe()
        let writer = try LogWriter(descriptor: pipe.writing) { _ in [] }
        let lines = (0..<1_000).map { "line \($0)\n" }
        let all = lines.joined()
        let received = OnThread { pipe.read(all.utf8.count) }
        for line in lines { write(line, to: writer) }
        #expect(writer.finish(milliseconds: 20_000))
        #expect(received.value() == all)
    }

    /// The queue takes a MiB, the pipe 64 KiB. Nobody reads, and each write returns all the same.
    @Test func aSinkThatNobodyReadsHoldsUpNobody() throws {
        let pipe = try Pipe()
        let writer = try LogWriter(descriptor: pipe.writing) { count in Array("dropped \(count)\n".utf8) }
        let line = String(repeating: "x", count: 1023) + "\n"
        for _ in 0..<4_096 { write(line, to: writer) }
        #expect(!writer.finish(milliseconds: 1))
        // Now somebody does: what was queued comes out, then how much is missing.
        let received = OnThread { pipe.readToEnd(of: "dropped ") }
        let text = try #require(received.value())
        let kept = text.split(separator: "\n").filter { $0.first == "x" }.count
        let dropped = text.split(separator: "\n").compactMap { line in
            line.hasPrefix("dropped ") ? Int(line.dropFirst(8)) : nil
        }
        #expect(kept >= 1024 && kept < 4_096)
        #expect(dropped.reduce(kept, +) == 4_096)
    }

    @Test func aClosedSinkEndsNothing() throws {
        let pipe = try Pipe()
        pipe.closeReading()
        let writer = try LogWriter(descriptor: pipe.writing) { _ in [] }
        for _ in 0..<100 { write("gone\n", to: writer) }
        #expect(writer.finish(milliseconds: 20_000))
    }

    /// Whoever shares our stderr may have made it non-blocking.
    @Test func aNonBlockingSinkGetsEverything() throws {
        let pipe = try Pipe()
        _ = fcntl(pipe.writing, F_SETFL, O_NONBLOCK)
        let writer = try LogWriter(descriptor: pipe.writing) { _ in [] }
        let line = String(repeating: "y", count: 99) + "\n"
        for _ in 0..<5_000 { write(line, to: writer) }
        let received = OnThread { pipe.read(500_000) }
        #expect(writer.finish(milliseconds: 20_000))
        #expect(received.value() == String(repeating: line, count: 5_000))
    }

    private func write(_ line: String, to writer: LogWriter) { writer.write(Array(line.utf8).span) }
}

/// A pipe that closes itself.
private final class Pipe: Sendable {
    let reading: CInt
    let writing: CInt

    init() throws {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw TestError("pipe") }
        (reading, writing) = (ends[0], ends[1])
    }

    // The writing end may still be in use by a writer's thread: it is left to the process.
    deinit { close(reading) }

    func closeReading() {
        let null = open("/dev/null", O_RDONLY)
        dup2(null, reading)
        close(null)
    }

    func read(_ count: Int) -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < count, case let got = Glibc.read(reading, &chunk, chunk.count), got > 0 {
            bytes += chunk[..<got]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Reads until the line that comes last begins with `prefix`.
    func readToEnd(of prefix: String) -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while case let got = Glibc.read(reading, &chunk, chunk.count), got > 0 {
            bytes += chunk[..<got]
            guard bytes.last == 0x0A else { continue }
            let start = bytes.dropLast().lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
            if bytes[start...].starts(with: prefix.utf8) { break }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
