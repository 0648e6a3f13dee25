import Glibc
import TunnelCore
import TunnelIO
import TunnelProxy

/// The running proxy's side of `mcp-proxy reload`: an abstract socket that says which proxy this is, reloads it, and
/// answers with the verdict.
///
/// Only its own user and root are heard. It takes nothing but the word to read the file again, which SIGHUP says as well.
enum ReloadServer {
    /// What its sockets' names begin with. Random digits follow, as two containers may share a network and each have a
    /// process 1.
    static let prefix = "mcp-proxy-reload-"
    /// After a failure such as a lack of descriptors.
    private static let pause = 1

    /// Starts to listen, for the process's life. A proxy that cannot be reloaded like this serves all the same.
    static func start(_ reloader: ConfigurationReloader, path: String, log: Log) {
        do throws(IOError) {
            let listener = Listener(try AbstractSocket.listen(prefix + hexadecimal(UInt64.random(in: 0...UInt64.max))))
            let own = ReloadMessage.Proxy(process: Int(getpid()), path: absolute(path))
            try SystemThread("reload") {
                while true {
                    do throws(IOError) { try serve(try listener.socket.accept(), own, reloader) } catch {
                        // One that hung up early is its own affair; without descriptors each try would fail at once.
                        if error.operation == "accept" { _ = ThreadSignal().wait(seconds: pause) }
                    }
                }
            }.detach()
        } catch {
            log(.warn, "reload command is not served") { $0.field("error", error.description) }
        }
    }

    private static func serve(
        _ client: consuming AbstractSocket, _ own: ReloadMessage.Proxy, _ reloader: ConfigurationReloader
    ) throws(IOError) {
        guard let user = client.peerUser, user == geteuid() || user == 0 else {
            return try client.send(ReloadMessage.Reply.stranger.text)
        }
        switch ReloadMessage.Request(rawValue: try client.receive(limit: 64)) {
        case .describe: try client.send(ReloadMessage.Reply.proxy(own).text)
        case .reload: try client.send(ReloadMessage.Reply.verdict(reloader.reload(by: .command)).text)
        case nil: break
        }
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
