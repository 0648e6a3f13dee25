internal import Synchronization

/// Spans that wait to be sent: so many and no more, because a collector that is slow or gone must cost no request anything.
/// What comes beyond is dropped and counted.
final class SpanQueue: Sendable {
    struct Limits: Sendable, Equatable {
        /// Spans that wait.
        var spans: Int
        /// Spans in one request to the collector.
        var batch: Int
    }

    /// What one exchange has to say: JSON, and the number of spans in it.
    struct Entry: Sendable {
        let bytes: [UInt8]
        let spans: Int
    }

    /// What has to be done about a span that was put in.
    enum Next: Equatable {
        case nothing
        /// It is the first one: begin to count the time.
        case startClock
        /// There are enough for a batch.
        case send
    }

    struct Counts: Equatable, Sendable {
        /// For which there was no room.
        var dropped: UInt64 = 0
        /// That the collector took.
        var sent: UInt64 = 0
        /// That it did not take, or could not be brought to it.
        var failed: UInt64 = 0
    }

    private struct State {
        var entries: [Entry] = []
        var spans = 0
        var counts = Counts()
    }

    let limits: Limits
    private let state = Mutex(State())

    init(_ limits: Limits) { self.limits = limits }

    /// From any thread; never waits for the collector.
    func put(_ entry: Entry) -> Next {
        state.withLock { state in
            guard state.spans + entry.spans <= limits.spans else {
                state.counts.dropped += UInt64(entry.spans)
                return .nothing
            }
            let before = state.spans
            state.entries.append(entry)
            state.spans += entry.spans
            if before < limits.batch && state.spans >= limits.batch { return .send }
            return before == 0 ? .startClock : .nothing
        }
    }

    /// Takes the oldest: one entry, and as many more as make a batch.
    func take() -> [Entry] {
        state.withLock { state in
            var (count, spans) = (0, 0)
            for entry in state.entries {
                if count > 0 && spans + entry.spans > limits.batch { break }
                (count, spans) = (count + 1, spans + entry.spans)
            }
            let taken = Array(state.entries.prefix(count))
            state.entries.removeFirst(count)
            state.spans -= spans
            return taken
        }
    }

    var waiting: Int { state.withLock { $0.spans } }
    var counts: Counts { state.withLock { $0.counts } }

    func sent(_ spans: Int) { state.withLock { $0.counts.sent += UInt64(spans) } }
    func failed(_ spans: Int) { state.withLock { $0.counts.failed += UInt64(spans) } }
}
