/// What of a sandbox is in force.
package struct SandboxState: Sendable, Equatable {
    package var mode: SandboxMode
    /// The kernel's version of Landlock, as far as it is used; 0 where files are not confined.
    package var landlock = 0
    /// Whether TCP ports are.
    package var confinesPorts = false
    /// Whether signals to other processes are denied.
    package var confinesSignals = false
    /// Whether the filter of system calls is in force.
    package var filtersCalls = false
    package var rules = SandboxRules()
    /// The places that may be read, with links followed.
    package var readablePlaces: [String] = []
    /// What is not in force and why, in words.
    package var missing: [String] = []

    package init(mode: SandboxMode) { self.mode = mode }

    package var bind: SandboxRules.Ports { confinesPorts ? rules.bind : .any }
    package var connect: SandboxRules.Ports { confinesPorts ? rules.connect : .any }

    /// Whether a file could be opened that lies at `path`.
    ///
    /// - Parameter path: absolute, without links.
    package func allowsReading(_ path: String) -> Bool {
        guard landlock > 0 else { return true }
        return readablePlaces.contains { place in
            path == place || path.hasPrefix(place.hasSuffix("/") ? place : place + "/")
        }
    }
}

/// Why there is no sandbox where there has to be one.
package struct SandboxError: Error, Equatable, CustomStringConvertible {
    package let missing: [String]

    package var description: String {
        "sandbox: required, but \(missing.joined(separator: "; "))"
            + " (use a kernel from 6.7 on with Landlock among its security modules, or sandbox: best-effort)"
    }
}
