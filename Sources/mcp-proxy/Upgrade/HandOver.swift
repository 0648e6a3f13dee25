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

    /// - Parameter send: the message, with descriptors that are open as long as it takes.
    /// - Returns: whether it listens, and the offer was made.
    func offer(_ send: (ReloadMessage.Reply, [CInt]) throws(IOError) -> Void) throws(IOError) -> Bool {
        let listeners = server.offerListeners()
        defer { withExtendedLifetime(listeners) {} }
        guard !listeners.proxy.isEmpty else { return false }
        var names = listeners.proxy.map { _ in PassedSockets.Name.proxy }
        var descriptors = [2] + listeners.proxy.map(\.descriptor)
        if let admin = listeners.admin {
            names.append(.admin)
            descriptors.append(admin.descriptor)
        }
        do throws(IOError) { try send(.listeners(names, arguments: arguments), descriptors) } catch {
            withdraw()
            throw error
        }
        return true
    }

    /// The other process has not come to serve: this one goes on.
    func withdraw() { server.withdrawListeners() }

    /// The other process serves: this one drains.
    func leave() { server.leaveToSuccessor() }

    /// And then it ends, as by a signal.
    func end() {
        // For who waits for signals. Not SIGTERM: as a second one it would cut the requests under way.
        kill(getpid(), SIGHUP)
    }
}
