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
}
