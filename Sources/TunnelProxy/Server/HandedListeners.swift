internal import Synchronization
package import TunnelIO

/// The listeners of a running proxy, which another process may go on with: the service manager that passed them, or a
/// process that takes this one's place.
package final class HandedListeners: Sendable {
    /// Each once.
    package typealias All = (proxy: [Listener], admin: Listener?)

    private struct State {
        var all: All
        /// The files of Unix sockets go with this process, unless another one has the sockets, or may have.
        var ownsFiles: Bool
        /// Another process has them, and may come to serve from them.
        var isOffered = false
        var hasSuccessor = false

        /// A file that stays is removed by the next one who binds there; one that was removed is missed.
        func settleFiles() {
            let isLeft = !ownsFiles || isOffered || hasSuccessor
            for listener in all.proxy + [all.admin].compactMap({ $0 }) {
                if isLeft { listener.leaveFile() } else { listener.takeFile() }
            }
        }
    }

    /// Whoever passed them keeps them.
    let isKept: Bool
    private let state: Mutex<State>

    /// - Parameter source: who passed them; `nil` where they were bound here.
    init(proxy: [Listener], admin: Listener?, from source: PassedListeners.Source?) {
        isKept = source == .serviceManager
        state = Mutex(State(all: (proxy, admin), ownsFiles: source != .predecessor))
    }

    private func change(_ body: (inout sending State) -> Void) {
        state.withLock { state in
            body(&state)
            state.settleFiles()
        }
    }

    /// Hands them to a process that is to take this one's place; none once the proxy accepts no more. An end of this process
    /// before that one serves leaves it what waits there, and the files.
    func offer() -> All {
        change { $0.isOffered = true }
        return state.withLock { $0.all }
    }

    /// That process has not come to serve.
    func withdraw() { change { $0.isOffered = false } }

    /// Another process serves from them now: what waits there is left to it, and so are their files.
    func leaveToSuccessor() { change { $0.hasSuccessor = true } }

    func takeFiles() { change { $0.ownsFiles = true } }

    var hasSuccessor: Bool { state.withLock { $0.hasSuccessor } }

    /// Whether another process will accept what waits at the listeners.
    var isHandedOn: Bool { isKept || state.withLock { $0.hasSuccessor || $0.isOffered } }

    /// Nothing is accepted any more. They are closed by who lets go last.
    func release() { state.withLock { $0.all = ([], nil) } }
}

extension ProxyServer {
    /// The listeners, for a process that is to take this one's place: then ``withdrawListeners()`` or ``leaveToSuccessor()``
    /// is called.
    package func offerListeners() -> HandedListeners.All { running?.listeners.offer() ?? ([], nil) }

    /// The process that they were offered to does not serve.
    package func withdrawListeners() { running?.listeners.withdraw() }

    /// The process that had these listeners before has left: the files of Unix sockets go with this one.
    package func takeSocketFiles() { running?.listeners.takeFiles() }

    /// Begins to drain because another process serves from the same listeners: nothing is accepted any more, and
    /// `shutdown_delay` has no reason.
    package func leaveToSuccessor() {
        running?.listeners.leaveToSuccessor()
        // It may be in the midst of that delay.
        shared.idle.wake()
        beginGracefulShutdown()
    }
}
