internal import Synchronization
internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// What all workers of one proxy share: the configuration and the certificate in force, counters, and the log.
final class SharedState: Sendable {
    let log: Log
    /// Of each tunnel.
    let identities: TunnelCredentials
    /// `nil` where the proxy takes no part in traces.
    let tracer: Tracer?
    /// What confines the process; `nil` where the program that the proxy runs in sees to that, or nobody.
    let sandbox: SandboxState?
    private let current: Mutex<ProxySnapshot>
    /// Counts the snapshots that were in force.
    private let versions = Atomic<Int>(0)
    private let changes = Mutex<Void>(())

    /// Requests under way in all.
    private let requestCount = SharedCounter()
    /// Requests that the end of the proxy cut off.
    private let cutCount = Atomic<Int>(0)
    /// Connections open in all, whatever they have come to be.
    private let connectionCount = Atomic<Int>(0)
    /// Those among them on which no request has begun yet.
    private let newcomerCount = Atomic<Int>(0)
    /// WebSockets open in all.
    private let tunnelCount = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private let draining = Atomic<Bool>(false)
    private let lastConnection = Atomic<UInt64>(0)
    /// Wakes who waits for requests or connections to reach zero.
    let idle = IdleGate()
    let memory = MemoryTrim()
    /// The names of tools that metrics are told apart by.
    let tools = ToolNames()
    let reloads = ReloadJournal()

    init(
        _ snapshot: ProxySnapshot, identities: TunnelCredentials, log: Log, tracer: Tracer? = nil,
        sandbox: SandboxState? = nil
    ) {
        (self.identities, self.log, self.tracer, self.sandbox) = (identities, log, tracer, sandbox)
        current = Mutex(snapshot)
    }

    /// The configuration in force. Workers have their own way to it.
    var snapshot: ProxySnapshot { current.withLock { $0 } }

    /// Another number than before says that ``snapshot`` is another one.
    var version: Int { versions.load(ordering: .acquiring) }

    /// A copy of the snapshot for one loop, and its version. Loops that held the same object would share its reference count,
    /// and pass it from core to core several times a request.
    func currentSnapshot() -> (ProxySnapshot, version: Int) {
        current.withLock { (ProxySnapshot(copyOf: $0), version) }
    }

    /// Puts what `make` makes of the snapshot in force into its place, with nobody in between.
    ///
    /// - Parameter then: what goes with it, done before anybody else puts another one in its place.
    func replaceSnapshot<Result: Sendable>(
        _ make: (ProxySnapshot) throws -> (ProxySnapshot, Result), then: (Result) -> Void = { _ in }
    ) rethrows -> Result {
        // A lock of its own, because a new snapshot reads files, and no request waits for that.
        try changes.withLock { _ in
            let (next, result) = try make(snapshot)
            current.withLock {
                $0 = next
                versions.add(1, ordering: .releasing)
            }
            then(result)
            return result
        }
    }

    // MARK: Counters

    var requests: Int { requestCount.value.load(ordering: .sequentiallyConsistent) }
    var requestsCut: Int { cutCount.load(ordering: .sequentiallyConsistent) }
    var connections: Int { connectionCount.load(ordering: .sequentiallyConsistent) }
    var tunnels: Int { tunnelCount.load(ordering: .sequentiallyConsistent) }

    /// - Returns: the requests under way, this one among them.
    func requestBegan() -> Int { requestCount.value.add(1, ordering: .relaxed).newValue }

    func requestEnded() {
        let left = requestCount.value.subtract(1, ordering: .sequentiallyConsistent).newValue
        if left == 0 && isDraining { idle.wake() }
    }

    /// A request did not end by itself: the stop was not clean.
    func requestCut() { cutCount.add(1, ordering: .sequentiallyConsistent) }

    /// - Returns: the number that names the connection in the log.
    func connectionBegan() -> UInt64 {
        connectionCount.add(1, ordering: .relaxed)
        newcomerCount.add(1, ordering: .relaxed)
        return nextConnectionNumber()
    }

    /// Somebody has come and has not said yet what for.
    var hasNewcomers: Bool { newcomerCount.load(ordering: .sequentiallyConsistent) > 0 }

    /// The first request of a connection has begun, or will never.
    func newcomerSettled() {
        let left = newcomerCount.subtract(1, ordering: .sequentiallyConsistent).newValue
        if left == 0 && isStopping { idle.wake() }
    }

    /// A number for the log alone: for a connection that is none of the tunnel.
    func nextConnectionNumber() -> UInt64 { lastConnection.add(1, ordering: .relaxed).newValue }

    func connectionEnded() {
        let left = connectionCount.subtract(1, ordering: .sequentiallyConsistent).newValue
        if left == 0 && isDraining { idle.wake() }
    }

    /// Counts one WebSocket more, unless there are `limit`.
    ///
    /// - Returns: whether it is counted, and ``tunnelEnded()`` to be called at its end.
    func tunnelBegan(limit: Int) -> Bool {
        // Never more than `limit`, not for a moment: another loop would be refused the place that it has just made.
        var count = tunnels
        while count < limit {
            let (isCounted, seen) = tunnelCount.compareExchange(
                expected: count, desired: count + 1, ordering: .sequentiallyConsistent)
            if isCounted { return true }
            count = seen
        }
        return false
    }

    func tunnelEnded() { tunnelCount.subtract(1, ordering: .sequentiallyConsistent) }

    /// The proxy is about to end; for a while it serves as before, so that others can take over.
    var isStopping: Bool { stopping.load(ordering: .sequentiallyConsistent) }
    func beginStop() { stopping.store(true, ordering: .sequentiallyConsistent) }

    /// The proxy takes no new connections, and closes each after its current request.
    var isDraining: Bool { draining.load(ordering: .sequentiallyConsistent) }
    func drain() { draining.store(true, ordering: .sequentiallyConsistent) }
}

/// A number that every loop changes with each request, on a cache line of its own: what lies beside it is only read.
private final class SharedCounter: Sendable {
    private let before = InlineArray<8, UInt64>(repeating: 0)
    let value = Atomic<Int>(0)
    private let after = InlineArray<8, UInt64>(repeating: 0)
}
