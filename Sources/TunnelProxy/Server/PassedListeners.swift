package import TunnelIO

/// Sockets that listen already and were passed to the process, as a service manager does it: it holds them while the
/// process is started anew, so that connections wait meanwhile and none is refused.
package struct PassedListeners: Sendable {
    /// In the place of one that is bound to `listen_addr`.
    package var proxy: Listener?
    /// The same for `admin_addr`.
    package var admin: Listener?

    package init(proxy: Listener? = nil, admin: Listener? = nil) { (self.proxy, self.admin) = (proxy, admin) }
}
