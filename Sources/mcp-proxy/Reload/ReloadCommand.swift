import Glibc
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelProxy

/// `mcp-proxy reload`: what SIGHUP does, with the outcome told to whoever asked. It works from inside a container that has
/// no shell and no `kill`, and does not look to the engine like the end of one.
enum ReloadCommand {
    private static let which = CommandFlag(
        "config", takes: "PATH", "reload the proxy that runs with this file (default: the only one that runs)")

    static let command = ProxyCommand(
        path: ["reload"], summary: "have a running proxy read its configuration again",
        details: "It looks in its own network namespace, for proxies of its own user; root's reaches every user's.\n"
            + "Exit status 0 if the configuration is in force, else 1 and every error in the file; the old one stays then.",
        flags: [which], example: "mcp-proxy reload"
    ) { arguments in
        let search = try ReloadClient.search()
        switch choose(search, path: arguments[which].map(ReloadServer.absolute)) {
        case .failure(let complaint): throw complaint
        case .success(let chosen): return try chosen.reduce(.done) { try reload($1) ? $0 : .failed }
        }
    }

    /// Why nothing was reloaded.
    struct Complaint: Error, Equatable, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// The proxies to be reloaded: all with that file, or without one the only one that there is.
    static func choose(_ search: ReloadClient.Search, path: String?) -> Result<[ReloadClient.Found], Complaint> {
        let all = search.found
        let chosen = path.map { path in all.filter { isSame($0.proxy.path, path) } } ?? all
        if chosen.count == 1 || path != nil && !chosen.isEmpty { return .success(chosen) }
        let list = all.map { "process \($0.proxy.process) with \($0.proxy.path)" }.joined(separator: ", ")
        if !chosen.isEmpty { return .failure(Complaint("\(all.count) proxies run here, name one by -config: \(list)")) }
        if let path, !all.isEmpty {
            return .failure(Complaint("no proxy runs here with \(path), but \(list)"))
        }
        if let user = search.strangers.first {
            let remedy = "run this as that user, or as root"
            return .failure(Complaint("the proxy that runs here is that of user \(user): \(remedy)"))
        }
        if let reason = search.silent.first {
            return .failure(Complaint("the proxy that runs here does not answer: \(reason)"))
        }
        return .failure(
            Complaint("no proxy runs here: run this where it does, in its container or its network namespace"))
    }

    private static func reload(_ found: ReloadClient.Found) throws -> Bool {
        let (path, process) = (found.proxy.path, found.proxy.process)
        let verdict: ConfigurationReloader.Verdict
        do throws(IOError) { verdict = try ReloadClient.reload(found) } catch {
            throw Complaint("no verdict of process \(process) with \(path): \(error)")
        }
        switch verdict {
        case .done(let needRestart):
            print("\(path): in force, in process \(process)")
            for setting in needRestart { print("\(setting): its new value needs a restart") }
            return true
        case .refused(let reason):
            ProxyProgram.complain("mcp-proxy reload: the old configuration stays, in process \(process)\n\(reason)")
            return false
        }
    }

    /// Two spellings of one file, too: the working folder's path may lead through symbolic links.
    private static func isSame(_ a: String, _ b: String) -> Bool {
        if a == b { return true }
        guard let resolved = realpath(a, nil) else { return false }
        defer { free(resolved) }
        guard let other = realpath(b, nil) else { return false }
        defer { free(other) }
        return strcmp(resolved, other) == 0
    }
}
