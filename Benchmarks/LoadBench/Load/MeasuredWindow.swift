import Glibc
import TunnelIO

/// The part of a load run that counts: it opens after the warm-up and closes after its time.
final class MeasuredWindow {
    private let reactor: Reactor
    private let options: LoadOptions
    private let target: LoadTarget
    private(set) var isOpen = false
    private var opened: UInt64 = 0
    private var before = ProcessSample([])
    private var ownBefore = ProcessSample([])
    private var othersBefore = ProcessSample([])
    private var machineBefore: UInt64 = 0
    /// Set before any connection was made, for the memory of idle ones.
    private let fresh: ProcessSample

    /// Nanoseconds of each operation, or the delay of each event.
    var latencies = LogHistogram()
    var operations: UInt64 = 0
    var bytes: UInt64 = 0
    var resumed: UInt64 = 0
    /// Called before the results are made, to record what is still under way.
    var beforeClose: (() -> Void)?
    /// The suite that was agreed on.
    var cipher = ""

    private lazy var next = Deadline(on: reactor) { [unowned self] in
        if isOpen { close() } else { open() }
    }
    private lazy var limit = Deadline(on: reactor) { [unowned self] in
        fail("no end after \(Int(options.seconds + options.warmUp)) and 60 seconds")
    }

    init(_ reactor: Reactor, _ options: LoadOptions) {
        (self.reactor, self.options, target) = (reactor, options, options.target)
        fresh = ProcessSample(options.watched)
        limit.set(after: UInt64((options.seconds + options.warmUp + 60) * 1e9))
    }

    /// Begins the warm-up: everything is connected.
    func start() { next.set(after: UInt64(options.warmUp * 1e9)) }

    private func open() {
        latencies.removeAll()
        (operations, bytes, resumed) = (0, 0, 0)
        ProcessSample.resetPeak(options.watched)
        before = ProcessSample(options.watched)
        ownBefore = ProcessSample([getpid()])
        othersBefore = ProcessSample(options.others)
        machineBefore = ProcessSample.machineCPU()
        opened = Reactor.clock()
        isOpen = true
        next.set(after: UInt64(options.seconds * 1e9))
    }

    /// Prints the result and ends the process: there is nothing left to do.
    private func close() {
        beforeClose?()
        let elapsed = Double(Reactor.clock() - opened) / 1e9
        let after = ProcessSample(options.watched)
        let own = ProcessSample([getpid()])
        let machine = Double(ProcessSample.machineCPU() &- machineBefore)
        let cpu = Double(after.cpu &- before.cpu)
        let load = Double(own.cpu &- ownBefore.cpu)
        let others = Double(ProcessSample(options.others).cpu &- othersBefore.cpu)
        let processors = Double(max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN))))
        let foreign = max(0, machine - cpu - load - others) / 1e9 / elapsed / processors
        var text = "cipher \(cipher)\n"
        for (name, value) in [
            ("seconds", elapsed), ("operations", Double(operations)), ("rate", Double(operations) / elapsed),
            ("mib_per_second", Double(bytes) / elapsed / 1_048_576), ("resumed", Double(resumed)),
            ("resumed_share", operations > 0 ? Double(resumed) / Double(operations) : 0),
            ("p50_us", Double(latencies.quantile(0.5)) / 1e3), ("p90_us", Double(latencies.quantile(0.9)) / 1e3),
            ("p99_us", Double(latencies.quantile(0.99)) / 1e3), ("max_us", Double(latencies.max) / 1e3),
            ("cpu_seconds", cpu / 1e9), ("cpu_us_per_operation", operations > 0 ? cpu / 1e3 / Double(operations) : 0),
            ("cpu_ms_per_mib", bytes > 0 ? cpu / 1e6 / (Double(bytes) / 1_048_576) : 0),
            ("load_cpu_share", load / 1e9 / elapsed), ("foreign_cpu_share", foreign),
            ("fresh_kib", Double(fresh.residentKiB)), ("resident_kib", Double(after.residentKiB)),
            ("peak_kib", Double(after.peakKiB)),
        ] { text += "\(name) \(value)\n" }
        Output.write(text)
        exit(0)
    }

    /// A functional failure: the run is worth nothing.
    func fail(_ reason: String) {
        Output.complain("tunnel-bench load \(options.kind.rawValue) \(target.mode.rawValue): \(reason)")
        exit(1)
    }
}
