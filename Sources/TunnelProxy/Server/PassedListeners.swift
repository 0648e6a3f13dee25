package import TunnelIO

/// Sockets that listen already and were passed to the process, as a service manager does it: it holds them while the
/// process is started anew, so that connections wait meanwhile and none is refused.
package struct PassedListeners: Sendable {
    /// Who passed them, for the log.
    package enum Source: String, Sendable {
        case serviceManager = "the service manager"
        /// A proxy that ran before, and whose place this one takes.
        case predecessor = "the process before"
    }

    /// In the place of those that are bound to `listen_addr`: one, or some that share its port.
    package var proxy: [Listener]
    /// The same for `admin_addr`.
    package var admin: Listener?
    package var source: Source

    package init(proxy: [Listener] = [], admin: Listener? = nil, source: Source = .serviceManager) {
        (self.proxy, self.admin, self.source) = (proxy, admin, source)
    }
}
