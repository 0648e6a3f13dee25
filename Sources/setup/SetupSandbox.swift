import Glibc
import TunnelAPI
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelTLS

/// The sandbox of one run of setup, made of its command line: it writes in the output folder, reads the files that are
/// named, and dials the API, the cluster or an HTTP proxy.
enum SetupSandbox {
    static let variable = "SETUP_SANDBOX"

    /// Those that change nothing in the output.
    private static let readers = ["verify", "tunnels list", "tunnels get", "certs list"]
    private static let https: UInt16 = 443
    private static let dns: UInt16 = 53

    /// To be called before any thread is started.
    ///
    /// - Throws: ``UsageError`` for a mode that there is not, ``SandboxError`` for one that cannot be had.
    static func apply(_ command: SetupCommand, _ arguments: Arguments, _ environment: SetupEnvironment) throws {
        let mode = try mode(environment)
        guard mode != .off else { return }
        _ = try Sandbox.apply(rules(command.name, arguments, environment), mode: mode)
    }

    static func mode(_ environment: SetupEnvironment) throws(UsageError) -> SandboxMode {
        guard let text = environment[variable] else { return .bestEffort }
        guard let mode = SandboxMode(rawValue: text) else {
            let known = SandboxMode.allCases.map(\.rawValue).joined(separator: ", ")
            throw UsageError("\(variable) is one of \(known), not \(Diagnostic.excerpt(text))")
        }
        return mode
    }

    /// - Parameters:
    ///   - system: what every program may read.
    ///   - exists: whether there is something at a path.
    static func rules(
        _ command: String, _ arguments: Arguments, _ environment: SetupEnvironment,
        system: [String] = SystemPlaces.readable(), exists: (String) -> Bool = { access($0, F_OK) == 0 }
    ) -> SandboxRules {
        let named = ["ca", "cert", "key"].compactMap { arguments.values[$0] } + arguments.operands
        let token = environment["ANTHROPIC_IDENTITY_TOKEN_FILE"]
        var readable = (named + [token].compactMap { $0 }).map(absolute).flatMap { FilePlaces.folders(of: $0) }
        // Whose folder it is may be said by name.
        readable += system + TrustStore.systemPlaces + ["/etc/passwd", InClusterConfiguration.serviceAccountFolder]
        var (writable, listable) = ([String](), [String]())
        if case .directory(let path, _)? = try? OutputPlace.chosen(arguments, environment) {
            let folder = absolute(path)
            // Whose folder that is, and whether the new one is on the disk, is asked of an open descriptor.
            listable.append(parent(of: folder))
            // Values may be links to where they are really kept.
            readable += FilePlaces.linkTargets(in: folder)
            if readers.contains(command) {
                readable.append(folder)
            } else {
                // One that is not there yet is made by this run, and a rule about it cannot be had.
                writable.append(exists(folder) ? folder : parent(of: folder))
            }
        }
        var rules = SandboxRules(
            readable: readable, writable: writable, connect: .only(ports(arguments, environment)))
        rules.listable = listable
        return rules
    }

    private static func ports(_ arguments: Arguments, _ environment: SetupEnvironment) -> Set<UInt16> {
        var ports: Set<UInt16> = [dns, https]
        let address = arguments[.apiURL] ?? environment["API_URL"]
        if let address, let service = try? ServiceURL(address) { ports.insert(service.port) }
        if let port = environment["KUBERNETES_SERVICE_PORT"].flatMap({ UInt16($0) }) { ports.insert(port) }
        if let proxy = try? environment.proxyPort() { ports.insert(proxy) }
        return ports
    }

    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
        defer { free(folder) }
        return "\(String(cString: folder))/\(path)"
    }

    private static func parent(of folder: String) -> String {
        let names = folder.split(separator: "/").dropLast()
        return "/" + names.joined(separator: "/")
    }
}
