import TunnelProxy

/// What `mcp-proxy reload`, `upgrade` and `stop` and a running proxy say to each other: one word there, one text back.
enum ReloadMessage {
    enum Request: String {
        case describe
        case reload
        /// Its listeners, with its standard error, to be served from by another process.
        case listeners
        /// That process has not come to serve.
        case withdraw
        /// That process serves.
        case leave
        /// As SIGTERM.
        case stop
    }

    /// A proxy, by what it says of itself.
    struct Proxy: Equatable, Sendable {
        /// Its number where it runs.
        let process: Int
        /// Its configuration file.
        let path: String
    }

    enum Reply: Equatable {
        case proxy(Proxy)
        case verdict(ConfigurationReloader.Verdict)
        /// Which listener each of the descriptors is that come with it, behind the one of standard error; and how the proxy
        /// was called.
        case listeners([PassedSockets.Name], arguments: [String])
        case leaving
        case stays
        case stopping
        /// It does not listen to this user.
        case stranger

        /// The kind in the first line, then its content.
        var text: String {
            switch self {
            case .proxy(let proxy): "proxy\n\(proxy.process)\n\(proxy.path)"
            case .verdict(.done(let settings)): (["done"] + settings).joined(separator: "\n")
            case .verdict(.refused(let reason)): "refused\n\(reason)"
            case .listeners(let names, let arguments):
                (["listeners", names.map(\.rawValue).joined(separator: ":")] + arguments).joined(separator: "\n")
            case .leaving: "leaving"
            case .stays: "stays"
            case .stopping: "stopping"
            case .stranger: "stranger"
            }
        }

        init?(_ text: String) {
            let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
            let rest = parts.count > 1 ? parts[1] : ""
            switch parts.first {
            case "proxy":
                let fields = rest.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
                guard fields.count == 2, let process = Int(fields[0]) else { return nil }
                self = .proxy(Proxy(process: process, path: String(fields[1])))
            case "done": self = .verdict(.done(needRestart: rest.split(separator: "\n").map(String.init)))
            case "refused": self = .verdict(.refused(String(rest)))
            case "listeners":
                var lines = rest.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
                guard !lines.isEmpty else { return nil }
                let words = lines.removeFirst().split(separator: ":").map(String.init)
                let names = words.compactMap(PassedSockets.Name.init)
                guard names.count == words.count else { return nil }
                self = .listeners(names, arguments: lines)
            case "leaving": self = .leaving
            case "stays": self = .stays
            case "stopping": self = .stopping
            case "stranger": self = .stranger
            default: return nil
            }
        }
    }
}
