internal import Synchronization
package import TunnelCore

/// The configuration file of a running proxy: puts what it holds in force whenever somebody asks, and by itself where
/// ``ProxyConfiguration/configWatch`` says so.
///
/// Whoever asks, the way is one: read, check, put in force, log. Reloads from several threads go through it one after
/// another, each with the file as it is then, so an older content never comes in force behind a newer one.
package final class ConfigurationReloader: Sendable {
    /// Who asked.
    package enum Cause: String, Sendable {
        case signal, command, watch
    }

    /// What came of it.
    package enum Verdict: Sendable, Equatable {
        /// In force; the settings named differ and need a restart.
        case done(needRestart: [String])
        /// The old configuration stays, because of this: every error with file, line and field, a line each.
        case refused(String)
    }

    /// Is told of each reload, whoever asked for it; reloads come one after another.
    package protocol Observer: Sendable {
        func reloadBegins()
        func reloadEnded(_ verdict: Verdict)
    }

    let file: ConfigurationFile
    let server: ProxyServer
    let log: Log
    /// What was last put in force or refused.
    private let tried: Mutex<ConfigurationFile.Contents>
    let isWatched = Mutex(false)
    private let observer: (any Observer)?

    /// - Parameter contents: of the file, from which `server` was made.
    package init(
        _ file: ConfigurationFile, contents: ConfigurationFile.Contents, of server: ProxyServer, log: Log,
        observer: (any Observer)? = nil
    ) {
        (self.file, self.server, self.log, self.observer) = (file, server, log, observer)
        tried = Mutex(contents)
    }

    /// Reads the file and puts it in force, also where nothing in it is new: files that it names may be.
    package func reload(by cause: Cause) -> Verdict {
        defer { watchIfWanted() }
        return tried.withLock { tried in
            observed {
                do {
                    tried = try file.read()
                    return .done(needRestart: try put(tried, cause))
                } catch { return refuse("\(error)", cause) }
            }
        }
    }

    /// Puts contents in force that the watch has read, unless they were tried before.
    func reload(contents: ConfigurationFile.Contents) {
        tried.withLock { tried in
            guard tried != contents else { return }
            tried = contents
            _ = observed {
                do { return .done(needRestart: try put(contents, .watch)) } catch { return refuse("\(error)", .watch) }
            }
        }
    }

    /// Whether contents were tried already, with whatever outcome.
    func hasTried(_ contents: ConfigurationFile.Contents) -> Bool { tried.withLock { $0 == contents } }

    private func observed(_ reload: () -> Verdict) -> Verdict {
        observer?.reloadBegins()
        let verdict = reload()
        observer?.reloadEnded(verdict)
        return verdict
    }

    private func put(_ contents: ConfigurationFile.Contents, _ cause: Cause) throws -> [String] {
        let configuration = try file.parse(contents)
        guard server.state == .running else { throw ProxyError("the proxy is not running") }
        let needRestart = try server.reload(configuration, by: cause.rawValue)
        log(.info, "configuration reloaded") { $0.field("by", cause.rawValue) }
        return needRestart
    }

    @discardableResult
    func refuse(_ reason: String, _ cause: Cause) -> Verdict {
        // Whoever has read the line finds it counted.
        server.noteFailedReload(reason, by: cause.rawValue)
        log(.error, "configuration not reloaded, the old one stays") { line in
            line.field("by", cause.rawValue)
            line.field("error", reason)
        }
        return .refused(reason)
    }
}
