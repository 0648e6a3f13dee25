import Glibc
import TunnelCLI
import TunnelIO
import TunnelProxy

/// `mcp-proxy upgrade`: starts this binary with the listeners of a proxy that runs, and has that one drain once the new one
/// serves. No connection is refused meanwhile; where the new one does not come up, the old one goes on as if nothing had been.
///
/// It is this command that starts the new process, and not the running one: that one may be confined, and has no need to start
/// programs.
enum UpgradeCommand {
    private static let which = CommandFlag(
        "config", takes: "PATH", "take the place of the proxy that runs with this file (default: the only one)")
    private static let patience = CommandFlag(
        "timeout", takes: "SECONDS", "how long the new process may take until it serves (default 60)")

    static let command = ProxyCommand(
        path: ["upgrade"], summary: "let this binary take the place of a running proxy",
        details:
            "The new process serves from the same sockets, logs to the same place and reads the configuration anew,\n"
            + "also what else takes a restart. The old one drains then, within shutdown_timeout. A proxy that a\n"
            + "service manager started is restarted by that manager, which keeps the sockets.",
        flags: [which, patience], example: "/opt/new/mcp-proxy upgrade"
    ) { arguments in
        let seconds = try arguments[patience].map { text in
            guard let seconds = Int(text), (1...3600).contains(seconds) else {
                throw UsageError("flag -timeout: invalid value \"\(text)\" (write 1 to 3600)")
            }
            return seconds
        }
        let search = try ReloadClient.search()
        let found: ReloadClient.Found
        switch ReloadCommand.choose(search, path: arguments[which].map(ReloadServer.absolute)) {
        case .failure(let complaint): throw complaint
        case .success(let chosen):
            guard chosen.count == 1, let only = chosen.first else {
                throw ReloadCommand.Complaint("several proxies run with that file; stop all but one")
            }
            found = only
        }
        return try run(found, seconds: seconds ?? 60)
    }

    private static func run(_ found: ReloadClient.Found, seconds: Int) throws -> ExitStatus {
        let (path, old) = (found.proxy.path, found.proxy.process)
        // What it says is taken for a command line, and the new process would be ours and not that user's.
        guard found.user == geteuid() else {
            throw ReloadCommand.Complaint("process \(old) with \(path) is user \(found.user)'s: run this as that user")
        }
        var offer: ReloadClient.Offer
        do throws(IOError) { offer = try ReloadClient.listeners(of: found) } catch {
            throw ReloadCommand.Complaint(
                "process \(old) with \(path) does not hand its listeners on: \(error.reason)"
                    + " (one that a service manager started is restarted by that manager)")
        }
        let process: SuccessorProcess
        do {
            process = try SuccessorProcess.start(&offer, path: path)
            try wait(for: process, seconds, before: old)
        } catch {
            // It owns the files of its sockets again. One that has ended meanwhile, or is of a version before this, is not told.
            try? ReloadClient.withdraw(found)
            throw error
        }
        var isGone = false
        do throws(IOError) { try ReloadClient.leave(found) } catch {
            // Somebody else has ended it meanwhile.
            isGone = isEnded(old)
            // Two that serve from the same sockets do no harm, and the operator can end either.
            guard isGone else {
                throw ReloadCommand.Complaint(
                    "process \(process.id) serves, and process \(old) was not told to end: \(error.reason)")
            }
        }
        process.takesPlace()
        print("\(path): process \(process.id) serves, process \(old) \(isGone ? "has ended" : "drains")")
        return .done
    }

    private static func wait(for process: SuccessorProcess, _ seconds: Int, before old: Int) throws {
        let outcome = process.waitUntilReady(seconds: seconds)
        let rest = "process \(old) \(isEnded(old) ? "has ended" : "goes on")"
        switch outcome {
        case .ready: break
        case .ended(let how):
            throw ReloadCommand.Complaint(
                "\(rest): the new one \(how) before it served; its log is where the old one's is")
        case .overdue:
            process.kill()
            throw ReloadCommand.Complaint("\(rest): the new one did not serve within \(seconds) s")
        }
    }

    /// Whether there is no such process, or nobody has asked yet how it ended (proc_pid_stat(5)).
    private static func isEnded(_ process: Int) -> Bool {
        guard let bytes = try? FileBytes.read("/proc/\(process)/stat", limit: 4096) else { return true }
        let fields = bytes.split(separator: UInt8(ascii: ")")).last?.split(separator: UInt8(ascii: " ")) ?? []
        return fields.first.map { $0 == [UInt8(ascii: "Z")] || $0 == [UInt8(ascii: "X")] } ?? true
    }
}
