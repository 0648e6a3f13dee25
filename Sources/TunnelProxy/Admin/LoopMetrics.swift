internal import Synchronization
internal import TunnelCore
internal import TunnelIO

/// What one loop of the proxy has counted, as its own copy.
struct LoopMetrics: Sendable {
    var copy = MetricsCopy()
    var lag = LagHistogram()
    var lookUps = LookUpCounts()
    /// Upstream connections that wait for a request.
    var parked = 0
    private var isWhole = false

    /// A loop that does not answer for so long is left out.
    private static let limit = Duration.seconds(2)

    /// Asks every loop for a copy, piece by piece, so that none is held up for more than a part of a millisecond.
    ///
    /// - Parameter reactor: of the loop that waits for them.
    /// - Returns: for each loop what it has counted; `nil` for one that does not turn, or has ended.
    static func gather(_ loops: [Loop], on reactor: Reactor) async -> [LoopMetrics?] {
        let copies = Copies(count: loops.count)
        var asked = Array(loops.indices)
        while !asked.isEmpty {
            let answers = await LoopSurvey.of(asked.map { loops[$0] }, within: limit, on: reactor) { worker in
                copies.fill(worker)
            }
            // One that has not answered is not waited for again.
            asked = zip(asked, answers).filter { $0.1 == false }.map(\.0)
        }
        return copies.all.map { $0.isWhole ? $0 : nil }
    }

    /// The copies on their way from piece to piece. Each loop fills its own.
    private final class Copies: Sendable {
        private let copies: Mutex<[LoopMetrics]>

        init(count: Int) { copies = Mutex(Array(repeating: LoopMetrics(), count: count)) }

        var all: [LoopMetrics] { copies.withLock { $0 } }

        /// - Returns: whether it is whole.
        func fill(_ worker: Worker) -> Bool {
            let index = worker.reactor.loop.index
            // Taken out for the time, or filling would copy it.
            var metrics = copies.withLock { copies in
                var taken = LoopMetrics()
                swap(&taken, &copies[index])
                return taken
            }
            metrics.fill(from: worker)
            let isWhole = metrics.isWhole
            copies.withLock { $0[index] = metrics }
            return isWhole
        }
    }

    private mutating func fill(from worker: Worker) {
        guard !isWhole else { return }
        isWhole = worker.metrics.copy(&copy)
        guard isWhole else { return }
        (lag, lookUps) = (worker.reactor.lag, worker.reactor.resolver.counts)
        parked = worker.parkedConnections?() ?? 0
    }
}
