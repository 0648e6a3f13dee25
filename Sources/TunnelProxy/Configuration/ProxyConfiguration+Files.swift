private import Glibc
internal import TunnelCore

extension ProxyConfiguration {
    /// The fields that name a file to be read.
    private static let fileFields: [(name: String, path: any WritableKeyPath<ProxyConfiguration, String?> & Sendable)] =
        [
            ("tls.cert_file", \.certFile), ("tls.key_file", \.keyFile), ("tls.ticket_keys_file", \.tls.ticketKeysFile),
            ("upstream.tls.ca_file", \.upstream.tls.caFile),
        ]

    // The two that are required, in the form of the one that is not.
    private var certFile: String? {
        get { tls.certFile }
        set { tls.certFile = newValue ?? "" }
    }
    private var keyFile: String? {
        get { tls.keyFile }
        set { tls.keyFile = newValue ?? "" }
    }

    /// Makes paths of the names that a configuration file at `path` gives to other files: relative ones begin at its
    /// folder, wherever the process was started.
    ///
    /// - Throws: for a file that is missing there and lies in the working folder, where 0.1 looked for it.
    mutating func resolveFiles(besides path: String) throws(ConfigurationError) {
        guard let slash = path.lastIndex(of: "/") else { return }
        let folder = path[...slash]
        var problems: [Diagnostic] = []
        for field in Self.fileFields {
            guard let name = self[keyPath: field.path], !name.isEmpty, !name.hasPrefix("/") else { continue }
            let file = folder + name
            if access(String(file), F_OK) != 0, errno == ENOENT, access(name, F_OK) == 0 {
                let shown = Diagnostic.excerpt(String(file), limit: 4096)
                problems.append(
                    diagnostic(
                        field.name, "open \(shown): no such file or directory",
                        remedy: "it is in the working folder, but since 0.2 a name begins at the configuration's"
                            + " folder: move the file there, or write its path from /"))
            }
            self[keyPath: field.path] = String(file)
        }
        // Nobody has named these to 0.1, which looked in the working folder.
        func resolved(_ name: String) -> String { name.isEmpty || name.hasPrefix("/") ? name : folder + name }
        for key in routeOptions.keys { routeOptions[key]?.mapFiles { _, name in resolved(name) } }
        for index in tunnels.indices { tunnels[index].mapFiles { _, name in resolved(name) } }
        if !problems.isEmpty { throw ConfigurationError(problems) }
    }
}
