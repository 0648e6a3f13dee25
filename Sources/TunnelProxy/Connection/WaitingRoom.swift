internal import TunnelCore
internal import TunnelIO

/// The connections of one loop that have proven nothing yet: those before their upgrade, and those between it and the
/// end of the inner handshake.
///
/// Whoever reaches the listener can make such connections and then say nothing, so each stage has a bound of its own, and
/// those of the first take no place from WebSockets. At the bound the one that has waited longest goes. Who is in earnest
/// needs a round trip or two for each stage, so it is the flood that goes, and nobody is kept out.
final class WaitingRoom {
    enum Stage: String {
        case upgrade
        case handshake
    }

    /// Where a connection waits, to be left by it.
    struct Place {
        fileprivate let stage: Stage
        fileprivate let ticket: UInt64
    }

    /// In the order of their tickets. Few enough that to take one out of the middle costs less than a tree would.
    private struct Line {
        struct Entry {
            let ticket: UInt64
            let connection: TunnelConnection
        }
        var entries: [Entry] = []

        func index(of ticket: UInt64) -> Int? {
            var (low, high) = (0, entries.count)
            while low < high {
                let middle = (low + high) / 2
                if entries[middle].ticket < ticket { low = middle + 1 } else { high = middle }
            }
            return low < entries.count && entries[low].ticket == ticket ? low : nil
        }
    }

    /// Between two lines of the log that say the same.
    private static let logPause: UInt64 = 1_000_000_000
    /// Dropped at once when the process has no descriptor left.
    private static let manyAtOnce = 32

    private let worker: Worker
    private let loops: Int
    private var upgrades = Line()
    private var handshakes = Line()
    private var lastTicket: UInt64 = 0
    private var dropped = 0
    private var nextLog: UInt64 = 0

    /// - Parameter loops: over which the proxy's bound is shared out.
    init(_ worker: Worker, loops: Int) { (self.worker, self.loops) = (worker, max(1, loops)) }

    // MARK: Waiting

    /// Lets a connection wait, and drops the one that has waited longest when there are too many.
    func enter(_ connection: TunnelConnection, _ stage: Stage) -> Place {
        lastTicket += 1
        let entry = Line.Entry(ticket: lastTicket, connection: connection)
        switch stage {
        case .upgrade: upgrades.entries.append(entry)
        case .handshake: handshakes.entries.append(entry)
        }
        let bound = worker.snapshot.configuration.limits.maxPendingConnections
        if isFuller(stage, than: (bound + loops - 1) / loops) {
            worker.metrics.count(.limit(.maxPendingConnections))
            dropOldest(stage)
        }
        return Place(stage: stage, ticket: lastTicket)
    }

    /// It waits no more. Says nothing of one that was dropped.
    func leave(_ place: Place) {
        switch place.stage {
        case .upgrade: upgrades.index(of: place.ticket).map { _ = upgrades.entries.remove(at: $0) }
        case .handshake: handshakes.index(of: place.ticket).map { _ = handshakes.entries.remove(at: $0) }
        }
    }

    /// Counts who waits in vain: not a handshake whose signature is in the making.
    private func isFuller(_ stage: Stage, than bound: Int) -> Bool {
        switch stage {
        case .upgrade: upgrades.entries.count > bound
        case .handshake:
            handshakes.entries.count > bound && handshakes.entries.count { $0.connection.isHolding } > bound
        }
    }

    // MARK: WebSockets

    /// Whether another WebSocket may be: there is a place, or somebody who can be dropped for it.
    var hasPlace: Bool {
        worker.shared.tunnels < worker.snapshot.connectionLimit.count
            || handshakes.entries.contains { $0.connection.isHolding }
    }

    /// Takes a place among the WebSockets. When all are taken, the handshake that has waited longest gives up its own.
    func takePlace() -> Bool {
        if worker.shared.tunnelBegan(limit: worker.snapshot.connectionLimit.count) { return true }
        // It is handed over and not given back: one who comes by another loop would have it first.
        return dropOldest(.handshake, handsOverPlace: true)
    }

    // MARK: Dropping

    /// Makes room where the process has no descriptor left, so that the next connection can be accepted.
    func giveDescriptorsBack() {
        for _ in 0..<WaitingRoom.manyAtOnce { dropOldest(upgrades.entries.isEmpty ? .handshake : .upgrade) }
    }

    /// - Parameter handsOverPlace: whether its place among the WebSockets is the caller's now.
    @discardableResult
    private func dropOldest(_ stage: Stage, handsOverPlace: Bool = false) -> Bool {
        let connection: TunnelConnection
        switch stage {
        case .upgrade:
            guard !upgrades.entries.isEmpty else { return false }
            connection = upgrades.entries.removeFirst().connection
        case .handshake:
            guard let index = handshakes.entries.firstIndex(where: { $0.connection.isHolding }) else { return false }
            connection = handshakes.entries.remove(at: index).connection
        }
        connection.crowdOut(handsOverPlace: handsOverPlace)
        note(stage)
        return true
    }

    /// A flood is no reason to flood the log.
    private func note(_ stage: Stage) {
        dropped += 1
        guard worker.reactor.now >= nextLog else { return }
        nextLog = worker.reactor.now + WaitingRoom.logPause
        worker.log(.warn, "connections dropped that waited longest") {
            $0.field("before", stage.rawValue)
            $0.field("count", dropped)
        }
        dropped = 0
    }
}
