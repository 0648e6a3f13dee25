internal import Synchronization
package import TunnelCore

/// The last lines of the log, for whoever asks for them later: the page of a running proxy, and a report about it.
///
/// The thread that writes the log puts lines in, so nobody whose line it is waits for a reader.
package final class LogRing: Sendable {
    /// One line as it was written, without its newline.
    package struct Line: Sendable, Equatable {
        /// Counts the lines from the first one on, from 1.
        package let number: UInt64
        package let text: String

        package init(number: UInt64, text: String) { (self.number, self.text) = (number, text) }

        package var level: LogLevel? {
            var text = text
            return text.withUTF8 { LogLine.level(of: $0.span) }
        }
    }

    private struct State: ~Copyable {
        /// The lines, each with its newline.
        var bytes = ByteBuffer()
        /// Their lengths from the oldest on, as a queue whose front is `first`.
        var lengths: [Int] = []
        var first = 0
        /// The number of the newest line.
        var last: UInt64 = 0
    }
    private let state = Mutex(State())
    private let maxLines: Int
    private let maxBytes: Int

    /// - Parameters:
    ///   - maxLines: lines that are kept.
    ///   - maxBytes: bytes of all of them together.
    package init(maxLines: Int = 2_000, maxBytes: Int = 1 << 20) {
        (self.maxLines, self.maxBytes) = (maxLines, maxBytes)
    }

    /// Takes whole lines, each with its newline.
    func append(_ lines: Span<UInt8>) {
        state.withLock { state in
            var start = 0
            for end in 0..<lines.count where lines[end] == 0x0A {
                Self.append(lines.extracting(start...end), to: &state, maxLines, maxBytes)
                start = end + 1
            }
        }
    }

    private static func append(_ line: Span<UInt8>, to state: inout State, _ maxLines: Int, _ maxBytes: Int) {
        state.last += 1
        state.bytes.append(line)
        state.lengths.append(line.count)
        while state.lengths.count - state.first > maxLines || state.bytes.count > maxBytes {
            state.bytes.consume(state.lengths[state.first])
            state.first += 1
        }
        if state.first > maxLines {
            state.lengths.removeFirst(state.first)
            state.first = 0
        }
    }

    /// The number of the newest line; 0 before the first.
    package var last: UInt64 { state.withLock { $0.last } }

    /// Lines that are still there, the oldest first.
    ///
    /// - Parameters:
    ///   - number: only those behind this one.
    ///   - limit: the newest of them, at most so many.
    ///   - level: only those of this level or above. A line whose level cannot be told counts as of any.
    package func lines(after number: UInt64 = 0, limit: Int, from level: LogLevel = .debug) -> [Line] {
        state.withLock { state in
            var lines: [Line] = []
            var end = state.bytes.count
            var current = state.last
            for index in stride(from: state.lengths.count - 1, through: state.first, by: -1) {
                guard lines.count < limit, current > number else { break }
                let start = end - state.lengths[index]
                state.bytes.withBytes { bytes in
                    let line = bytes.extracting(start..<end - 1)
                    guard LogLine.level(of: line).map({ $0 >= level }) ?? true else { return }
                    lines.append(
                        Line(number: current, text: line.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }))
                }
                (end, current) = (start, current - 1)
            }
            return lines.reversed()
        }
    }
}
