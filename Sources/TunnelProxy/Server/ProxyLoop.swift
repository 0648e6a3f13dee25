internal import Synchronization
internal import TunnelCore
internal import TunnelIO

/// The part of the proxy that lives on one loop.
final class ProxyLoop {
    unowned let reactor: Reactor
    let state: ProxyState
    var metrics = WorkerMetrics()
    private(set) lazy var upstreams = UpstreamPools(self)
    private var sessions: [ObjectIdentifier: TunnelSession] = [:]
    private var acceptor: Acceptor?

    // Scratch: each is parsed into anew by whoever uses it, and not read after a suspension.
    var requestHead = RequestHead()
    var responseHead = ResponseHead()

    init(_ reactor: Reactor, _ state: ProxyState) {
        (self.reactor, self.state) = (reactor, state)
    }

    /// The one on the current loop, for a task that has just started there.
    static func current(on loop: isolated Loop) -> ProxyLoop? { loop.reactor.context as? ProxyLoop }

    // MARK: Accepting

    func accept(from listener: Listener, isShared: Bool) throws(IOError) {
        let loop = reactor.loop
        let log = state.log
        acceptor = try Acceptor(
            listener, on: reactor, isShared: isShared,
            accepted: { descriptor, peer in
                loop.spawn { loop in await ProxyLoop.current(on: loop)?.serve(descriptor, peer) }
            },
            failed: { error in log(.error, "accept failed") { $0.field("error", error.description) } })
    }

    private func serve(_ descriptor: CInt, _ peer: SocketAddress?) async {
        let socket: Socket
        do throws(IOError) { socket = try Socket(adopting: descriptor, on: reactor) } catch {
            state.log(.error, "accept failed") { $0.field("error", error.description) }
            return
        }
        let session = TunnelSession(socket, peer: peer, on: self)
        sessions[ObjectIdentifier(session)] = session
        state.connections.add(1, ordering: .relaxed)
        await session.serve()
        state.connectionEnded()
        sessions[ObjectIdentifier(session)] = nil
    }

    /// Forgets what belongs to upstreams that are no longer configured.
    func adopt(_ snapshot: ProxySnapshot) { upstreams.keep(only: Set(snapshot.routes.map(\.upstream))) }

    // MARK: Ending

    /// Accepts no more; what is open goes on.
    func stopAccepting() {
        acceptor?.stop()
        acceptor = nil
    }

    /// Closes every WebSocket: in order where no request is under way, at once where one is.
    func closeSessions() {
        for session in sessions.values { session.endNow() }
    }

    /// Closes what is still open without waiting for anybody.
    func cutSessions() {
        for session in sessions.values { session.cut() }
    }

    /// Lets go of everything, when the sessions have ended.
    func finish() {
        stopAccepting()
        upstreams.closeAll()
        // The loop holds us and we hold, by way of sessions that would not end, the loop.
        reactor.context = nil
    }
}
