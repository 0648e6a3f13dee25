import Glibc
import TunnelCLI
import TunnelIO
import TunnelProxy

/// `mcp-proxy stop`: what SIGTERM does, for whoever can start a program beside the proxy but send no signal: the hook that
/// Kubernetes runs before it ends a container.
enum StopCommand {
    private static let which = CommandFlag(
        "config", takes: "PATH", "stop the proxy that runs with this file (default: the only one that runs)")

    static let command = ProxyCommand(
        path: ["stop"], summary: "have a running proxy drain and end",
        details: "It does not wait for the end. The proxy serves for shutdown_delay as before, then drains within\n"
            + "shutdown_timeout. It has to run in the same PID namespace, as in the same container.",
        flags: [which], example: "mcp-proxy stop"
    ) { arguments in
        let search = try ReloadClient.search()
        switch ReloadCommand.choose(search, path: arguments[which].map(ReloadServer.absolute)) {
        case .failure(let complaint): throw complaint
        case .success(let chosen):
            for found in chosen { try stop(found) }
            return .done
        }
    }

    private static func stop(_ found: ReloadClient.Found) throws {
        let (path, process) = (found.proxy.path, found.proxy.process)
        do throws(IOError) { try ReloadClient.stop(found) } catch {
            throw ReloadCommand.Complaint(
                "process \(process) with \(path) does not take it: \(error.reason)"
                    + " (run this in its container or PID namespace)")
        }
        print("\(path): process \(process) stops")
    }
}
