import Glibc

/// The variables by which a service manager talks to the process that it starts (systemd.exec(5)).
///
/// They are meant for this process alone, so they are taken out of the environment.
struct ManagerEnvironment {
    static let names = [
        "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
        "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES", readyName,
    ]
    /// Of ours: the descriptor into which the process writes that it serves, where it takes the place of another one.
    static let readyName = "MCP_PROXY_READY_FD"

    private let values: [String: String]
    private let process: pid_t

    init(_ values: [String: String], process: pid_t = getpid()) { (self.values, self.process) = (values, process) }

    /// Takes them. To be called before any thread is started: the C library's environment has no lock that would help.
    static func take(
        get: (String) -> String? = { getenv($0).map { String(cString: $0) } },
        remove: (String) -> Void = { unsetenv($0) }
    ) -> ManagerEnvironment {
        var values: [String: String] = [:]
        for name in names {
            guard let value = get(name) else { continue }
            values[name] = value
            remove(name)
        }
        return ManagerEnvironment(values)
    }

    subscript(name: String) -> String? { values[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// Whether variables are for this process: they name it, or name none. A process in between may have left them.
    func isForUs(by name: String) -> Bool { self[name].map { $0 == String(process) } ?? true }

    /// Where to write that the process serves, if it takes the place of another one.
    var readyDescriptor: CInt? { self[Self.readyName].flatMap { CInt($0) }.flatMap { $0 > 2 ? $0 : nil } }

    /// How long the process before may take to leave.
    private static let patience: CInt = 30_000

    /// What became of the process before.
    enum Place {
        /// There was none, or it stays: then both serve, and the sockets' files are that one's.
        case shared
        /// It has left.
        case own
        /// Whoever started this process has gone, and nobody will tell that one to leave.
        case unwanted
    }

    /// Tells whoever started this process in the place of another one that it serves, and waits for word of that.
    func takePlace() -> Place {
        guard let descriptor = readyDescriptor else { return .shared }
        defer { close(descriptor) }
        var byte: UInt8 = 1
        guard write(descriptor, &byte, 1) == 1 else { return .unwanted }
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return Glibc.poll(&poll, 1, Self.patience) == 1 && read(descriptor, &byte, 1) == 1 ? .own : .shared
    }

    /// What is wrong with a variable, and what to do.
    struct Complaint: Error, Equatable, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }
}
