internal import TunnelCore
internal import TunnelIO
internal import TunnelPKI

extension ProxyConfiguration {
    /// Does what opens the files that the configuration names. Where several of them cannot be read, all are reported: a
    /// mount that is missing, or a user who may not read, is seldom about one file.
    ///
    /// - Throws: what `open` throws; ``ConfigurationError`` with each file, in the order of the configuration, where it is
    ///   more than one.
    func tellingAllUnreadable<Result>(_ open: () throws -> Result) throws -> Result {
        do { return try open() } catch {
            let files = unreadableFiles
            guard files.count > 1 else { throw error }
            throw ConfigurationError(files)
        }
    }

    private var unreadableFiles: [Diagnostic] {
        let found = neededFiles.compactMap { field, path -> Diagnostic? in
            do throws(FileError) {
                var bytes = try FileBytes.read(path)
                bytes.wipe()
                return nil
            } catch {
                // It comes later, and is taken up then.
                if error.isMissing, field.hasSuffix("tls.ticket_keys_file") { return nil }
                let isIdentity = field.hasSuffix("tls.cert_file") || field.hasSuffix("tls.key_file")
                return diagnostic(
                    field, error.description,
                    remedy: isIdentity
                        ? "setup makes the file; the proxy's user, 65532 in the image, must be able to read it"
                        : "name a file that the proxy's user, 65532 in the image, can read")
            }
        }
        return found.sorted { a, b in
            guard let a = a.mark, let b = b.mark else { return false }
            return (a.line, a.column) < (b.line, b.column)
        }
    }
}
