import Glibc
import TunnelCore
import TunnelIO
import TunnelProxy

/// The running proxy's side of `mcp-proxy reload`, `upgrade` and `stop`: an abstract socket that says which proxy this is,
/// reloads it and answers with the verdict, hands its listeners to the process that takes its place, or ends it.
///
/// Only its own user and root are heard. It ends, or leaves its place, for a process of its own PID namespace alone: who shares no
/// more than the network, as a sidecar does, could not do as much by signals.
enum ReloadServer {
    /// What its sockets' names begin with. Random digits follow, as two containers may share a network and each have a
    /// process 1.
    static let prefix = "mcp-proxy-reload-"
    /// After a failure such as a lack of descriptors.
    private static let pause = 1

    /// Starts to listen, for the process's life. A proxy that cannot be reloaded like this serves all the same.
    ///
    /// - Parameter successor: hands the proxy on to another process; `nil` where a service manager would lose it by that.
    static func start(_ reloader: ConfigurationReloader, path: String, log: Log, successor: HandOver?) {
        do throws(IOError) {
            let listener = Listener(try AbstractSocket.listen(prefix + hexadecimal(UInt64.random(in: 0...UInt64.max))))
            let own = ReloadMessage.Proxy(process: Int(getpid()), path: absolute(path))
            try SystemThread("reload") {
                // A proxy that has left its place to another one is not found any more.
                var isInPlace = true
                while isInPlace {
                    do throws(IOError) {
                        isInPlace = try serve(try listener.socket.accept(), own, reloader, successor)
                    } catch {
                        // One that hung up early is its own affair; without descriptors each try would fail at once.
                        if error.operation == "accept" { _ = ThreadSignal().wait(seconds: pause) }
                    }
                }
            }.detach()
        } catch {
            log(.warn, "reload command is not served") { $0.field("error", error.description) }
        }
    }

    /// - Returns: `false` once another process is in this one's place.
    private static func serve(
        _ client: consuming AbstractSocket, _ own: ReloadMessage.Proxy, _ reloader: ConfigurationReloader,
        _ successor: HandOver?
    ) throws(IOError) -> Bool {
        guard let user = client.peerUser, user == geteuid() || user == 0 else {
            try client.send(ReloadMessage.Reply.stranger.text)
            return true
        }
        switch ReloadMessage.Request(rawValue: try client.receive(limit: 64)) {
        case .describe: try client.send(ReloadMessage.Reply.proxy(own).text)
        case .reload: try client.send(ReloadMessage.Reply.verdict(reloader.reload(by: .command)).text)
        case .listeners:
            guard client.isPeerVisible, let successor else { break }
            _ = try successor.offer { message, descriptors throws(IOError) in
                try client.send(message.text, with: descriptors)
            }
        case .withdraw:
            guard client.isPeerVisible, let successor else { break }
            successor.withdraw()
            try client.send(ReloadMessage.Reply.stays.text)
        case .leave:
            guard client.isPeerVisible, let successor else { break }
            successor.leave()
            try? client.send(ReloadMessage.Reply.leaving.text)
            successor.end()
            return false
        case .stop:
            guard client.isPeerVisible else { break }
            // Before the signal, with which this thread may have no more time.
            try? client.send(ReloadMessage.Reply.stopping.text)
            kill(getpid(), SIGTERM)
        case nil: break
        }
        return true
    }

    private final class Listener: Sendable {
        let socket: AbstractSocket
        init(_ socket: consuming AbstractSocket) { self.socket = socket }
    }

    private static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// A path that means the same in every working folder.
    static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
        defer { free(folder) }
        return "\(String(cString: folder))/\(path)"
    }
}
