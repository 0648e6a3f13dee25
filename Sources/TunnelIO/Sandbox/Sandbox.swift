internal import CLinux
internal import Glibc

/// Puts the sandbox in force: Landlock, a filter of system calls, and no new privileges. There is no way back.
package enum Sandbox {
    /// The kernel's version of Landlock; 0 for none.
    package static var landlockABI: Int { max(0, Int(CLinux_landlock_abi())) }

    /// What would be missing, if `rules` were put in force now.
    package static func preview(_ rules: SandboxRules, mode: SandboxMode) -> SandboxState {
        var state = SandboxState(mode: mode)
        guard mode != .off else { return state }
        state.rules = rules
        let abi = CLinux_landlock_abi()
        state.landlock = max(0, Int(abi))
        if abi < 0 { state.missing.append(landlockIsMissing(errno)) }
        state.confinesPorts = abi >= LandlockPorts.firstABI && !(rules.bind == .any && rules.connect == .any)
        state.confinesSignals = abi >= LandlockScopes.firstABI
        if abi > 0, abi < LandlockPorts.firstABI { state.missing.append(portsAreMissing(abi: Int(abi))) }
        state.filtersCalls = FilterProgram.isSupported && CallMachine.current != nil
        if !state.filtersCalls { state.missing.append("the kernel has no filters of system calls") }
        return state
    }

    /// To be called while there is one thread: Landlock confines the one that asks and those that it starts.
    ///
    /// - Returns: what is in force.
    /// - Throws: ``SandboxError`` where `mode` requires more. What was put in force until then stays.
    package static func apply(_ rules: SandboxRules, mode: SandboxMode) throws(SandboxError) -> SandboxState {
        var state = SandboxState(mode: mode)
        guard mode != .off else { return state }
        state.rules = rules
        if let threads = threadCount(), threads > 1 {
            state.missing.append("\(threads) threads run already")
        } else if CLinux_forbid_new_privileges() != 0 {
            state.missing.append("prctl: \(IOError.text(of: errno))")
        } else {
            confine(&state)
            filter(&state)
        }
        if mode == .required, !state.missing.isEmpty { throw SandboxError(missing: state.missing) }
        return state
    }

    // MARK: Landlock

    private static func confine(_ state: inout SandboxState) {
        let abi = Int(CLinux_landlock_abi())
        guard abi > 0 else {
            state.missing.append(landlockIsMissing(errno))
            return
        }
        let rules = state.rules
        guard abi >= 2 || rules.writable.isEmpty else {
            state.missing.append("Landlock \(abi) denies renames between folders")
            return
        }
        let hasPorts = abi >= LandlockPorts.firstABI
        if !hasPorts, !(rules.bind == .any && rules.connect == .any) {
            state.missing.append(portsAreMissing(abi: abi))
        }
        do throws(IOError) {
            let ruleset = try makeRuleset(rules, abi: abi)
            defer { close(ruleset) }
            try allowFiles(rules, in: ruleset, abi: abi)
            if hasPorts {
                try allow(rules.bind, LandlockPorts.bind, in: ruleset)
                try allow(rules.connect, LandlockPorts.connect, in: ruleset)
            }
            if CLinux_landlock_restrict(ruleset) != 0 { throw IOError.fromErrno("landlock_restrict_self") }
        } catch {
            state.missing.append("Landlock: \(error)")
            return
        }
        state.landlock = abi
        state.confinesPorts = hasPorts && !(rules.bind == .any && rules.connect == .any)
        state.confinesSignals = abi >= LandlockScopes.firstABI
        state.readablePlaces = (rules.readable + rules.writable).compactMap(FilePlaces.canonical)
    }

    private static func makeRuleset(_ rules: SandboxRules, abi: Int) throws(IOError) -> CInt {
        var (network, scopes) = (UInt64(0), UInt64(0))
        if abi >= LandlockPorts.firstABI {
            if rules.bind != .any { network |= LandlockPorts.bind }
            if rules.connect != .any { network |= LandlockPorts.connect }
        }
        if abi >= LandlockScopes.firstABI {
            scopes = LandlockScopes.signals | (rules.reachesAbstractSockets ? 0 : LandlockScopes.abstractSockets)
        }
        let ruleset = CLinux_landlock_create(LandlockRights.files(abi).rawValue, network, scopes)
        guard ruleset >= 0 else { throw .fromErrno("landlock_create_ruleset") }
        return ruleset
    }

    private static func allowFiles(_ rules: SandboxRules, in ruleset: CInt, abi: Int) throws(IOError) {
        for path in rules.readable { try allow(.read, at: path, in: ruleset, abi: abi) }
        for path in rules.listable { try allow(.readFolder, at: path, in: ruleset, abi: abi) }
        for path in rules.writable { try allow(.write, at: path, in: ruleset, abi: abi) }
        for path in rules.socketFolders { try allow(.sockets, at: path, in: ruleset, abi: abi) }
    }

    private static func allow(_ rights: LandlockRights, at path: String, in ruleset: CInt, abi: Int) throws(IOError) {
        let descriptor = open(path, CLinux_O_PATH() | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        // /proc makes its folders anew when memory is short, and a rule about the one before would be lost. One that is
        // open stays.
        let isKept = path.hasPrefix("/proc/")
        defer { if !isKept { close(descriptor) } }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return }
        var rights = rights.intersection(LandlockRights.files(abi))
        if status.st_mode & S_IFMT != S_IFDIR { rights.formIntersection(LandlockRights.ofFiles) }
        guard !rights.isEmpty, CLinux_landlock_allow_path(ruleset, descriptor, rights.rawValue) != 0 else { return }
        // A pipe or a socket lies in no folder, and Landlock does not ask about it.
        if errno != EBADFD { throw IOError(.system(errno), "landlock_add_rule", detail: path) }
    }

    private static func allow(_ ports: SandboxRules.Ports, _ right: UInt64, in ruleset: CInt) throws(IOError) {
        guard case .only(let list) = ports else { return }
        for port in list.sorted() where CLinux_landlock_allow_port(ruleset, port, right) != 0 {
            throw IOError(.system(errno), "landlock_add_rule", detail: "port \(port)")
        }
    }

    private static func landlockIsMissing(_ number: CInt) -> String {
        switch number {
        case ENOSYS: "the kernel has no Landlock"
        case EOPNOTSUPP: "Landlock is not among the security modules that the kernel was started with"
        default: "Landlock: \(IOError.text(of: number))"
        }
    }

    private static func portsAreMissing(abi: Int) -> String {
        "Landlock \(abi) does not confine ports, which takes \(LandlockPorts.firstABI), of Linux 6.7"
    }

    // MARK: System calls

    private static func filter(_ state: inout SandboxState) {
        guard let machine = CallMachine.current else {
            state.missing.append("the numbers of this processor's system calls are not known")
            return
        }
        do {
            try FilterProgram.install(try CallFilter.program(for: machine))
            state.filtersCalls = true
        } catch {
            state.missing.append("system calls are not filtered: \(error)")
        }
    }

    /// `nil` where /proc does not say.
    private static func threadCount() -> Int? {
        guard let folder = opendir("/proc/self/task") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while let entry = readdir(folder) {
            // "." and "..".
            if entry.pointee.d_name.0 != 0x2E { count += 1 }
        }
        return count
    }
}
