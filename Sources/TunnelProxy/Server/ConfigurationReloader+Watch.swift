internal import Glibc
internal import Synchronization
internal import TunnelCore
internal import TunnelIO

/// The watch over the configuration file, for `config_watch: true`.
///
/// It looks every `tls.reload_interval`, as the watch over the certificate does, and at the content, not at inode or time: a
/// volume mount changes a file in ways of its own. A file of routes has nothing like a matching key that would tell half of
/// it from the whole, so new content is taken only when it still stands a moment later.
extension ConfigurationReloader {
    /// For an editor to finish its writing.
    private static let settlingTime: UInt64 = 500_000_000

    /// Starts to look where the configuration in force asks for it and nobody looks yet. A reload may switch it on and off.
    package func watchIfWanted() {
        let mustStart = isWatched.withLock { isWatched in
            guard isWanted, !isWatched else { return false }
            isWatched = true
            return true
        }
        guard mustStart else { return }
        do throws(IOError) {
            // Weakly between two looks: who drops the reloader has no thread left.
            try SystemThread("config-watch") { [weak self] in
                var lastFailure: String?
                while let pause = self?.pauseUntilNextLook() {
                    _ = ThreadSignal().wait(nanoseconds: pause)
                    self?.look(&lastFailure)
                }
            }.detach()
        } catch {
            isWatched.withLock { $0 = false }
            log(.error, "configuration is not watched") { $0.field("error", error.description) }
        }
    }

    private var isWanted: Bool { server.state == .running && server.configuration.configWatch }

    /// `nil` at the end of the watch.
    private func pauseUntilNextLook() -> UInt64? {
        isWatched.withLock { isWatched in
            isWatched = isWanted
            return isWatched ? server.configuration.tls.reloadInterval.nanoseconds : nil
        }
    }

    /// - Parameter lastFailure: why the last look could not read the file; told once.
    private func look(_ lastFailure: inout String?) {
        guard let contents = read(&lastFailure), !hasTried(contents) else { return }
        _ = ThreadSignal().wait(nanoseconds: Self.settlingTime)
        guard isWanted, read(&lastFailure) == contents else { return }
        reload(contents: contents)
    }

    private func read(_ lastFailure: inout String?) -> ConfigurationFile.Contents? {
        do throws(ConfigurationError) {
            // A pipe gives its bytes once, and whoever opens it may wait for long.
            guard isRegular(file.path) else { return nil }
            let contents = try file.read()
            lastFailure = nil
            return contents
        } catch {
            if lastFailure != error.description { refuse(error.description, .watch) }
            lastFailure = error.description
            return nil
        }
    }

    /// Also true of what is not there: reading it says so.
    private func isRegular(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG
    }
}
