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
        // Now somebody does. Every line comes out or is counted, in one count or in several, as the writer's thread
        // happened to run; without one of them the reading would not end.
        let received = OnThread {
            var tally = Tally()
            while tally.kept + tally.dropped < 4_096, let piece = pipe.readSome() { tally.take(piece) }
            return tally
        }
        let tally = try #require(received.value())
        #expect(tally.kept >= 1024 && tally.kept < 4_096 && tally.kept + tally.dropped == 4_096)
    }

    /// Lines that came, and lines that are said to be missing.
    private struct Tally {
        var kept = 0
        var dropped = 0
        private var rest: [UInt8] = []

        mutating func take(_ piece: [UInt8]) {
            rest += piece
            while let end = rest.firstIndex(of: 0x0A) {
                let line = String(decoding: rest[..<end], as: UTF8.self)
                rest.removeFirst(end + 1)
                if line.first == "x" { kept += 1 } else { dropped += Int(line.dropFirst("dropped ".count)) ?? 0 }
            }
        }
    }

    /// Each loop has a queue of its own. What is queued together comes out in the order in which it was said.
    @Test func linesOfSeveralLoopsComeInTheirOrder() throws {
        let pipe = try Pipe()
        let writer = try LogWriter(descriptor: pipe.writing) { _ in [] }
        let logs = (0..<3).map { _ in writer.forOneThread() }
        // More than the pipe takes: once it is full, the thread that writes waits in it.
        let filler = String(repeating: "x", count: 999) + "\n"
        for _ in 0..<128 { write(filler, to: writer) }
        var readiness = pollfd(fd: pipe.writing, events: Int16(POLLOUT), revents: 0)
        while poll(&readiness, 1, 0) > 0 { usleep(1_000) }
        let lines = (0..<30).map { "line \($0)\n" }
        for (index, line) in lines.enumerated() { logs[(index * 2) % 3].write(Array(line.utf8).span) }
        let all = pipe.read(128 * filler.utf8.count + lines.joined().utf8.count)
        #expect(all.split(separator: "\n").filter { $0.first == "l" }.map { $0 + "\n" } == lines.map { $0[...] })
        #expect(writer.finish(milliseconds: 20_000))
    }

    /// A process may start and stop proxies all its life, each with logs for its loops.
    @Test func aLogForOneThreadIsGoneWithItsUser() throws {
        let pipe = try Pipe()
        let writer = try LogWriter(descriptor: pipe.writing) { _ in [] }
        weak var queue: (any LogSink)?
        do {
            let sink = writer.forOneThread()
            sink.write(Array("last words\n".utf8).span)
            queue = sink
        }
        #expect(pipe.readSome() == Array("last words\n".utf8))
        // The thread lets go of it when it finds nothing more: once it has been used, or behind the next line.
        let end = Reactor.clock() + 60_000_000_000
        while queue != nil, Reactor.clock() < end {
            write("next\n", to: writer)
            _ = pipe.readSome()
        }
        #expect(queue == nil)
        #expect(writer.finish())
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

    /// What is there, or `nil` at the end.
    func readSome() -> [UInt8]? {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let got = Glibc.read(reading, &chunk, chunk.count)
        return got > 0 ? Array(chunk[..<got]) : nil
    }
}
