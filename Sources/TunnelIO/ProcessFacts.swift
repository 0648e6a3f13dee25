internal import Glibc

/// What the system knows of this process, for monitoring. Reads /proc, which takes some tens of microseconds.
package struct ProcessFacts: Sendable {
    /// On all cores together, in user and system mode.
    package let cpuSeconds: Double
    package let residentBytes: UInt64
    package let virtualBytes: UInt64
    /// Seconds since 1970.
    package let startTime: Double
    package let openDescriptors: Int
    package let maxDescriptors: UInt64

    /// `nil` where /proc cannot be read.
    package init?() {
        guard let stat = try? FileBytes.read("/proc/self/stat"), let fields = ProcessFacts.fields(of: stat),
            let boot = ProcessFacts.bootTime
        else { return nil }
        let ticks = Double(max(1, sysconf(CInt(_SC_CLK_TCK))))
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        cpuSeconds = Double(time.tv_sec) + Double(time.tv_nsec) / 1_000_000_000
        startTime = Double(boot) + Double(fields.start) / ticks
        virtualBytes = fields.virtual
        residentBytes = fields.resident &* UInt64(max(1, sysconf(CInt(_SC_PAGESIZE))))
        openDescriptors = ProcessFacts.countDescriptors()
        var limit = rlimit()
        _ = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        maxDescriptors = UInt64(limit.rlim_cur)
    }

    /// The fields of proc_pid_stat(5) behind the name, which is in parentheses and may hold anything.
    private static func fields(of stat: [UInt8]) -> (start: UInt64, virtual: UInt64, resident: UInt64)? {
        guard let end = stat.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let words = stat[(end + 1)...].split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }
        // The first of them is the third field.
        func field(_ number: Int) -> UInt64? {
            number - 3 < words.count ? UInt64(String(decoding: words[number - 3], as: UTF8.self)) : nil
        }
        guard let start = field(22), let virtual = field(23), let resident = field(24) else { return nil }
        return (start, virtual, resident)
    }

    /// When the machine was started, in seconds since 1970.
    private static let bootTime: UInt64? = {
        guard let stat = try? FileBytes.read("/proc/stat") else { return nil }
        for line in stat.split(separator: UInt8(ascii: "\n")) where line.starts(with: Array("btime ".utf8)) {
            return UInt64(String(decoding: line.dropFirst(6), as: UTF8.self))
        }
        return nil
    }()

    private static func countDescriptors() -> Int {
        guard let folder = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(folder) }
        var count = 0
        while let entry = readdir(folder) {
            // "." and "..".
            if entry.pointee.d_name.0 != 0x2E { count += 1 }
        }
        // The folder's own is not the process's.
        return max(0, count - 1)
    }
}
