import CLinux
import Glibc

/// Keeps keys and tokens in memory from reaching a core file or a debugger of another process of the same user.
enum ProcessHardening {
    static func apply() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        // A core_pattern that pipes to a program ignores the limit, but not this.
        _ = CLinux_forbid_dump()
        // A peer that closes early is an error of that write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
    }
}
