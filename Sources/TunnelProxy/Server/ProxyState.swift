internal import Synchronization
internal import TunnelCore
internal import TunnelTLS

/// What all loops of one proxy share: immutable snapshots behind a lock, and counters.
final class ProxyState: Sendable {
    let log: Log
    let credentials: ServerCredentials
    private let current: Mutex<ProxySnapshot>

    /// Requests under way in all.
    let requests = Atomic<Int>(0)
    /// WebSockets open in all.
    let connections = Atomic<Int>(0)
    /// The proxy takes no new connections and closes each after its current request.
    let isDraining = Atomic<Bool>(false)
    /// Wakes who waits for `requests` or `connections` to reach zero.
    let idle = IdleGate()
    /// Numbers connections for the log.
    let lastConnection = Atomic<UInt64>(0)

    init(_ snapshot: ProxySnapshot, credentials: ServerCredentials, log: Log) {
        (self.credentials, self.log) = (credentials, log)
        current = Mutex(snapshot)
    }

    /// Counts a request as over.
    func requestEnded() {
        let left = requests.subtract(1, ordering: .sequentiallyConsistent).newValue
        if left == 0 && isDraining.load(ordering: .sequentiallyConsistent) { idle.wake() }
    }

    /// Counts a WebSocket as closed.
    func connectionEnded() {
        let left = connections.subtract(1, ordering: .sequentiallyConsistent).newValue
        if left == 0 && isDraining.load(ordering: .sequentiallyConsistent) { idle.wake() }
    }

    /// The configuration in force; read once a request.
    var snapshot: ProxySnapshot {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }
}
