private import Glibc
private import TunnelCore

extension ProxyConfiguration {
    /// Reads a configuration from the text of a file.
    ///
    /// - Parameter bytes: YAML, or JSON, in UTF-8; at most 1 MiB.
    /// - Parameter file: the file's name for messages.
    /// - Parameter tunnelDomain: takes the place of the file's `tunnel_domain`, unless it is empty.
    /// - Throws: everything that is wrong, with places. What is not YAML is reported alone.
    public static func parse(
        _ bytes: [UInt8], file: String, tunnelDomain: String? = nil
    ) throws(ConfigurationError) -> ProxyConfiguration {
        let document: YAMLNode
        do throws(YAMLError) {
            document = try YAMLNode.parse(bytes, allowDuplicateKeys: true)
        } catch {
            let diagnostic = Diagnostic(file: file, mark: error.mark, problem: error.problem, remedy: error.remedy)
            throw ConfigurationError([diagnostic])
        }
        var configuration = ProxyConfiguration(blank: ())
        var decoder = ConfigurationDecoder(file: file)
        decoder.decode(document, fields, into: &configuration, waiving: Set(fieldsOfTunnel), beside: "tunnels")
        configuration.tunnelDomain = configuration.tunnelDomain?.lowercased()
        var tunnelDomainField = "tunnel_domain"
        if let tunnelDomain, !tunnelDomain.isEmpty {
            configuration.tunnelDomain = tunnelDomain.lowercased()
            tunnelDomainField = "-tunnel-domain"
            decoder.texts[tunnelDomainField] = tunnelDomain
        }
        var check = ConfigurationCheck(decoder: decoder, tunnelDomainField: tunnelDomainField)
        check.run(configuration)
        if !check.diagnostics.isEmpty { throw ConfigurationError(check.diagnostics) }
        configuration.places = ConfigurationPlaces(file: file, marks: decoder.marks)
        return configuration
    }

    /// Reads the configuration file at `path`, which may be a regular file or a pipe. Files that it names are relative to
    /// its own folder; those of a pipe, to the working folder.
    ///
    /// - Throws: `open PATH: permission denied` and the like, what ``parse(_:file:tunnelDomain:)`` throws, or that a file
    ///   is in the working folder where it should be beside the configuration.
    public static func load(
        path: String, tunnelDomain: String? = nil
    ) throws(ConfigurationError) -> ProxyConfiguration {
        let file = ConfigurationFile(path: path, tunnelDomain: tunnelDomain)
        return try file.parse(try file.read())
    }
}

/// Where a configuration comes from: a file, and what the command line says in its place.
package struct ConfigurationFile: Sendable {
    package let path: String
    package let tunnelDomain: String?

    /// What it held at one time.
    package struct Contents: Sendable, Equatable {
        let bytes: [UInt8]
        /// It is a regular file, and none that is read but once.
        let isFile: Bool
    }

    package init(path: String, tunnelDomain: String?) { (self.path, self.tunnelDomain) = (path, tunnelDomain) }

    package func read() throws(ConfigurationError) -> Contents { try readFile(path) }

    package func parse(_ contents: Contents) throws(ConfigurationError) -> ProxyConfiguration {
        var configuration = try ProxyConfiguration.parse(contents.bytes, file: path, tunnelDomain: tunnelDomain)
        // The names in these two folders stand for what a process has open, and say nothing of where it lies.
        if contents.isFile, !path.hasPrefix("/dev/"), !path.hasPrefix("/proc/") {
            try configuration.resolveFiles(besides: path)
        }
        return configuration
    }
}

/// The content of a file, up to one byte more than a document may have: the parser says that it is too large.
private func readFile(_ path: String) throws(ConfigurationError) -> ConfigurationFile.Contents {
    var descriptor: CInt
    repeat { descriptor = open(path, O_RDONLY | O_CLOEXEC) } while descriptor < 0 && errno == EINTR
    guard descriptor >= 0 else { throw fileError("open", path, errno) }
    defer { close(descriptor) }

    // A device may have no end, or give its bytes only once.
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw fileError("read", path, errno) }
    let kind = status.st_mode & S_IFMT
    guard kind == S_IFREG || kind == S_IFIFO || kind == S_IFDIR else {
        throw ConfigurationError([
            Diagnostic(problem: "read \(Diagnostic.excerpt(path, limit: 4096)): not a regular file or pipe", remedy: "")
        ])
    }
    var bytes = [UInt8](repeating: 0, count: YAMLNode.Limit.documentBytes + 1)
    var filled = 0
    while filled < bytes.count {
        let size = bytes.withUnsafeMutableBytes { room in
            read(descriptor, room.baseAddress.map { $0 + filled }, room.count - filled)
        }
        if size < 0, errno == EINTR { continue }
        guard size >= 0 else { throw fileError("read", path, errno) }
        if size == 0 { break }
        filled += size
    }
    bytes.removeSubrange(filled...)
    return ConfigurationFile.Contents(bytes: bytes, isFile: kind == S_IFREG)
}

/// A failed system call in Go's words, which operators' notes and scripts look for.
private func fileError(_ operation: String, _ path: String, _ code: CInt) -> ConfigurationError {
    let (reason, remedy) =
        switch code {
        case ENOENT: ("no such file or directory", "check the path given with -config")
        case EACCES: ("permission denied", "make the file readable for the user the proxy runs as, 65532 in the image")
        case EISDIR: ("is a directory", "name the file in it")
        case ENOTDIR: ("not a directory", "check the path given with -config")
        case ELOOP: ("too many levels of symbolic links", "check the path given with -config")
        case ENAMETOOLONG: ("file name too long", "check the path given with -config")
        case EPERM: ("operation not permitted", "")
        case EMFILE, ENFILE: ("too many open files", "raise the limit of open files")
        case EIO: ("input/output error", "")
        default: ("error \(code)", "")
        }
    let problem = "\(operation) \(Diagnostic.excerpt(path, limit: 4096)): \(reason)"
    return ConfigurationError([Diagnostic(problem: problem, remedy: remedy)])
}
