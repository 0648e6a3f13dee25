internal import TunnelCore
internal import TunnelIO

/// The part of the proxy that lives on one loop: accepts its connections and keeps them, with a pool of connections to
/// upstreams of its own.
final class ProxyWorker: WorkerHolder {
    let worker: Worker
    let upstreams: UpstreamPools
    private let room: WaitingRoom
    private var connections: [ObjectIdentifier: TunnelConnection] = [:]
    private var acceptors: [Acceptor] = []

    /// - Parameter loops: of the proxy, in all.
    init(_ reactor: Reactor, _ shared: SharedState, loops: Int) {
        worker = Worker(reactor, shared)
        upstreams = UpstreamPools(on: worker)
        room = WaitingRoom(worker, loops: loops)
    }

    /// The one on the current loop, for a task that has just started there.
    static func current(on loop: isolated Loop) -> ProxyWorker? { loop.reactor.context as? ProxyWorker }

    // MARK: Accepting

    func accept(from listener: Listener, isShared: Bool) throws(IOError) {
        let loop = worker.reactor.loop
        let log = worker.log
        acceptors.append(
            try Acceptor(
                listener, on: worker.reactor, isShared: isShared,
                accepted: { descriptor, peer in
                    loop.spawn { loop in await ProxyWorker.current(on: loop)?.serve(descriptor, peer) }
                },
                failed: { [unowned room] error in
                    log(.error, "accept failed") { $0.field("error", error.description) }
                    room.giveDescriptorsBack()
                }))
    }

    private func serve(_ descriptor: CInt, _ peer: SocketAddress?) async {
        let socket: Socket
        do throws(IOError) { socket = try Socket(adopting: descriptor, on: worker.reactor) } catch {
            worker.log(.error, "accept failed") { $0.field("error", error.description) }
            return
        }
        let connection = TunnelConnection(socket, peer: peer, on: worker, upstreams, room)
        connections[ObjectIdentifier(connection)] = connection
        await connection.serve()
        connections[ObjectIdentifier(connection)] = nil
        worker.shared.memory.sessionEnded(on: worker.reactor)
    }

    /// Forgets what belongs to upstreams that are no longer configured, and ends the connections of such tunnels when the
    /// requests that are under way on them are over.
    func adopt() {
        // A reload that came later may have overtaken the one that sends us.
        let snapshot = worker.snapshot
        upstreams.keep(only: Set(snapshot.routes.map(\.key)))
        for connection in connections.values { connection.adopt(snapshot) }
    }

    // MARK: Ending

    /// Accepts no more; what is open goes on.
    func stopAccepting() {
        for acceptor in acceptors { acceptor.stop() }
        acceptors = []
    }

    /// Says so to all clients that can be told.
    func drainBegins() {
        for connection in connections.values { connection.drainBegins() }
    }

    /// Closes every WebSocket on which no request is under way, and the others behind theirs.
    func takeNoMoreRequests() {
        for connection in connections.values { connection.takeNoMoreRequests() }
    }

    /// Closes every WebSocket: in order where no request is under way, at once where one is.
    func endConnections() {
        for connection in connections.values { connection.endNow() }
    }

    /// Closes what is still open without waiting for anybody.
    func cutConnections() {
        for connection in connections.values { connection.cut() }
    }

    /// Lets go of everything, when the connections have ended.
    func finish() {
        stopAccepting()
        upstreams.closeAll()
        // The loop holds us and we hold, by way of connections that would not end, the loop.
        worker.reactor.context = nil
    }
}
