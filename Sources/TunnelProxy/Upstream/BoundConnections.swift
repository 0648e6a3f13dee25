internal import TunnelCore
internal import TunnelIO

/// Connections to upstreams on which a login that holds for the connection was named (``ClientStream``'s heads say so),
/// parked for the one client connection that they serve.
///
/// It speaks HTTP/1.1: its requests come one after another, so there is one at a time for each upstream. Most proxies hold none at all, and
/// then nothing here costs more than a look at an empty dictionary.
struct BoundConnections {
    private struct Entry {
        let upstream: UpstreamKey
        let pool: ConnectionPool
    }

    /// Upstreams that one client connection may keep logins at; the oldest goes first.
    static let maxUpstreams = 8

    private let reactor: Reactor
    /// By the number of the client's connection.
    private var entries: [UInt64: [Entry]] = [:]

    init(on reactor: Reactor) { self.reactor = reactor }

    /// Whether there never was one, or the client connections of all are over.
    var isEmpty: Bool { entries.isEmpty }

    /// Connections that are parked.
    var count: Int { entries.values.reduce(0) { $0 + $1.reduce(0) { $0 + $1.pool.count } } }

    /// What is parked for `owner`; `nil` where nothing ever was.
    func pool(of upstream: UpstreamKey, for owner: UInt64) -> ConnectionPool? {
        entries[owner]?.first { $0.upstream == upstream }?.pool
    }

    /// The same, for parking.
    mutating func makePool(of upstream: UpstreamKey, for owner: UInt64) -> ConnectionPool {
        if let pool = pool(of: upstream, for: owner) { return pool }
        let entry = Entry(upstream: upstream, pool: ConnectionPool(on: reactor))
        var own = entries[owner] ?? []
        if own.count >= BoundConnections.maxUpstreams { own.removeFirst().pool.closeAll() }
        entries[owner] = own + [entry]
        return entry.pool
    }

    /// The client's connection is over.
    mutating func closeAll(of owner: UInt64) {
        guard !entries.isEmpty, let own = entries.removeValue(forKey: owner) else { return }
        for entry in own { entry.pool.closeAll() }
    }

    mutating func closeAll() {
        for entry in entries.values.joined() { entry.pool.closeAll() }
        entries = [:]
    }

    /// Closes the connections to all other upstreams.
    mutating func keep(only upstreams: Set<UpstreamKey>) {
        for (owner, own) in entries {
            for entry in own where !upstreams.contains(entry.upstream) { entry.pool.closeAll() }
            let left = own.filter { upstreams.contains($0.upstream) }
            entries[owner] = left.isEmpty ? nil : left
        }
    }
}
