internal import CLinux
internal import Glibc

/// What a program that holds keys and tokens does to its own process at the start.
package enum ProcessHardening {
    /// Keeps what is in memory from reaching a core file, a crash report, or a debugger of another process of the same
    /// user. To be called before the first secret is read.
    package static func apply() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        // A core_pattern that pipes to a program ignores the limit, but not this.
        _ = CLinux_forbid_dump()
        // The runtime's own report of a crash shows registers and the memory that they point to.
        for number in [SIGQUIT, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP] { signal(number, SIG_DFL) }
        // A peer that closes early is an error of that write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
    }

    /// Lets the process have as many descriptors as it is allowed. The limit that a shell or a service manager sets is for
    /// programs that use select(2), which would take a higher number for another one.
    package static func raiseDescriptorLimit() {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(resource, &limit)
    }
}
