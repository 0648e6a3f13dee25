import Glibc
import TunnelCLI
import TunnelIO
import TunnelProxy

/// What a running proxy gives to the process that takes its place: its listeners, where it logs, and how it was called.
struct HandOver: Sendable {
    private let server: ProxyServer
    /// Without the program's name, and so that they mean the same in every folder.
    private let arguments: [String]

    init(server: ProxyServer, _ arguments: Arguments, path: String) {
        self.server = server
        self.arguments =
            ["-config", ReloadServer.absolute(path)]
            + (arguments[.tunnelDomain].map { ["-tunnel-domain", $0] } ?? [])
            + (arguments.has(.debuggable) ? ["-debuggable"] : [])
    }

    /// `nil` where it does not listen.
    func offer() -> (message: ReloadMessage.Reply, descriptors: [CInt])? {
        let listeners = server.listeners
        guard !listeners.proxy.isEmpty else { return nil }
        var names = listeners.proxy.map { _ in PassedSockets.Name.proxy }
        var descriptors = [2] + listeners.proxy.map(\.descriptor)
        if let admin = listeners.admin {
            names.append(.admin)
            descriptors.append(admin.descriptor)
        }
        return (.listeners(names, arguments: arguments), descriptors)
    }

    /// The other process serves: this one drains and ends, as by a signal.
    func leave() {
        // A second signal would cut the requests under way.
        let isStopping = server.state == .draining
        server.leaveToSuccessor()
        if !isStopping { kill(getpid(), SIGTERM) }
    }
}
