/// What a process needs of the system once its configuration is known: all else is denied where the kernel can.
package struct SandboxRules: Sendable, Equatable {
    package enum Ports: Sendable, Equatable {
        case any
        case only(Set<UInt16>)

        package func contains(_ port: UInt16) -> Bool {
            switch self {
            case .any: true
            case .only(let ports): ports.contains(port)
            }
        }
    }

    /// Files, and folders with all that lies under them. What is not there is left out.
    package var readable: [String]
    /// Folders that may be opened and listed, with those under them, while no file there can be read.
    package var listable: [String] = []
    /// Folders in which files may be made, changed and removed.
    package var writable: [String]
    /// Folders in which socket files may be made and removed.
    package var socketFolders: [String]
    /// TCP ports to listen on, and to connect to.
    package var bind: Ports
    package var connect: Ports
    /// Whether an abstract Unix socket of another process has to be reached.
    package var reachesAbstractSockets: Bool

    package init(
        readable: [String] = [], writable: [String] = [], socketFolders: [String] = [], bind: Ports = .only([]),
        connect: Ports = .only([]), reachesAbstractSockets: Bool = false
    ) {
        (self.readable, self.writable, self.socketFolders) = (readable, writable, socketFolders)
        (self.bind, self.connect, self.reachesAbstractSockets) = (bind, connect, reachesAbstractSockets)
    }
}

/// How much of a sandbox there has to be.
package enum SandboxMode: String, Sendable, CaseIterable {
    case off
    /// What the kernel has.
    case bestEffort = "best-effort"
    /// All of it, or the process does not start.
    case required
}
