import Glibc

/// What some processes have used so far, from /proc.
struct ProcessSample {
    /// CPU time of all threads, in nanoseconds.
    var cpu: UInt64 = 0
    /// Resident memory now, and the most there was since it was last reset, in KiB.
    var residentKiB = 0
    var peakKiB = 0

    /// The sum over `processes`; one that has ended counts nothing.
    init(_ processes: [pid_t]) {
        for process in processes {
            cpu += ProcessSample.cpu(of: process)
            residentKiB += ProcessSample.status(process, "VmRSS:")
            peakKiB += ProcessSample.status(process, "VmHWM:")
        }
    }

    /// Nanoseconds that all processors have been busy with anything, from /proc/stat, in steps of 10 ms.
    static func machineCPU() -> UInt64 {
        guard let line = TextFile.read("/proc/stat")?.split(separator: UInt8(ascii: "\n")).first else { return 0 }
        // cpu user nice system idle iowait irq softirq steal; the last is time that another guest had.
        let ticks = line.split(separator: UInt8(ascii: " ")).dropFirst().map { number($0) }
        guard ticks.count >= 8 else { return 0 }
        return (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7]) * 10_000_000
    }

    /// Makes the peak begin anew (proc(5), clear_refs 5).
    static func resetPeak(_ processes: [pid_t]) {
        for process in processes { try? TextFile.write("5", to: "/proc/\(process)/clear_refs") }
    }

    /// Nanoseconds on a CPU, summed over the live threads. The ticks of /proc/PID/stat would be 10 ms each.
    private static func cpu(of process: pid_t) -> UInt64 {
        let tasks = "/proc/\(process)/task"
        return TextFile.names(in: tasks).reduce(0) { sum, thread in
            let text = TextFile.read("\(tasks)/\(thread)/schedstat") ?? []
            return sum + number(text[...])
        }
    }

    private static func status(_ process: pid_t, _ key: String) -> Int {
        let text = TextFile.read("/proc/\(process)/status") ?? []
        for line in text.split(separator: UInt8(ascii: "\n")) where line.starts(with: key.utf8) {
            return Int(number(line.dropFirst(key.utf8.count)))
        }
        return 0
    }

    /// The first number in `text`.
    private static func number(_ text: ArraySlice<UInt8>) -> UInt64 {
        text.drop { !(0x30...0x39).contains($0) }.prefix { (0x30...0x39).contains($0) }
            .reduce(0) { $0 &* 10 &+ UInt64($1 - 0x30) }
    }

    /// The processes that `process` has started.
    static func children(of process: pid_t) -> [pid_t] {
        let text = TextFile.read("/proc/\(process)/task/\(process)/children") ?? []
        return text.split(separator: UInt8(ascii: " ")).compactMap { pid_t(String(decoding: $0, as: UTF8.self)) }
    }
}
