internal import Synchronization
package import TunnelIO

/// The listeners of a running proxy, which another process may go on with: the service manager that passed them, or a
/// process that takes this one's place.
package final class HandedListeners: Sendable {
    private struct State {
        var proxy: [Listener]
        var admin: Listener?
        var hasSuccessor = false
    }

    /// Whoever passed them keeps them.
    private let isKept: Bool
    private let state: Mutex<State>

    init(proxy: [Listener], admin: Listener?, isKept: Bool) {
        self.isKept = isKept
        state = Mutex(State(proxy: proxy, admin: admin))
    }

    /// They hold until the proxy accepts no more; none afterwards.
    package var listeners: (proxy: [Listener], admin: Listener?) { state.withLock { ($0.proxy, $0.admin) } }

    /// Another process serves from them now: what waits there is left to it, and so are their files.
    func leaveToSuccessor() {
        state.withLock { state in
            state.hasSuccessor = true
            for listener in state.proxy { listener.leaveFile() }
            state.admin?.leaveFile()
        }
    }

    func takeFiles() {
        state.withLock { state in
            for listener in state.proxy { listener.takeFile() }
            state.admin?.takeFile()
        }
    }

    var hasSuccessor: Bool { state.withLock { $0.hasSuccessor } }

    /// Whether another process will accept what waits at the listeners.
    var isHandedOn: Bool { isKept || hasSuccessor }

    /// Nothing is accepted any more. They are closed by who lets go last.
    func release() { state.withLock { ($0.proxy, $0.admin) = ([], nil) } }
}

extension ProxyServer {
    /// The listeners, while the proxy accepts.
    package var listeners: (proxy: [Listener], admin: Listener?) { running?.listeners.listeners ?? ([], nil) }

    /// The process that had these listeners before has left: the files of Unix sockets go with this one.
    package func takeSocketFiles() { running?.listeners.takeFiles() }

    /// Begins to drain because another process serves from the same listeners: nothing is accepted any more, and
    /// `shutdown_delay` has no reason.
    package func leaveToSuccessor() {
        running?.listeners.leaveToSuccessor()
        beginGracefulShutdown()
    }
}
