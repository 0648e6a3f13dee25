internal import Glibc

/// What a program does that holds secrets in texts and arrays all over its memory.
///
/// For `setup`, which CWipe has overwrite what it gives back, too. Not for the proxy: locked memory would not go back to the
/// system after a flood.
package enum SecretMemory {
    /// Keeps all memory of the process out of swap, now and later. Only where there is no limit: under one, memory that is
    /// asked for later would be refused.
    package static func lockAll() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0, limit.rlim_cur == .max
        else { return }
        _ = mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)
    }
}
