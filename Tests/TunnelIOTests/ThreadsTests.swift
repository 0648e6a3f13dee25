import Glibc
import Synchronization
import Testing
import TunnelIO

@Suite struct SystemThreadTests {
    @Test func hasItsNameAndTakesNoSignals() throws {
        let seen = Mutex<(name: String, blocked: [CInt: Bool])>(("", [:]))
        let before = isBlocked(SIGTERM)
        let thread = try SystemThread("a-name") {
            let name = (try? FileBytes.read("/proc/thread-self/comm")) ?? []
            let text = String(decoding: name.dropLast(), as: UTF8.self)
            let signals = [SIGTERM, SIGPIPE, SIGHUP, SIGSEGV, SIGABRT]
            seen.withLock { $0 = (text, Dictionary(uniqueKeysWithValues: signals.map { ($0, isBlocked($0)) })) }
        }
        thread.join()
        #expect(seen.withLock { $0.name } == "a-name")
        #expect(
            seen.withLock { $0.blocked }
                == [SIGTERM: true, SIGPIPE: true, SIGHUP: true, SIGSEGV: false, SIGABRT: false])
        #expect(isBlocked(SIGTERM) == before, "the starting thread's mask is its own again")
    }

    /// Its priority is its own: the thread that starts it keeps the process's.
    @Test func standsBackWhenItIsAskedTo() throws {
        let before = currentNiceness()
        let seen = Mutex<CInt>(-99)
        try SystemThread("nice", niceness: 5) { seen.withLock { $0 = currentNiceness() } }.join()
        #expect(seen.withLock { $0 } == max(before, 5))
        #expect(currentNiceness() == before)
    }
}

/// Of the calling thread.
func currentNiceness() -> CInt { getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0) }

/// Whether the calling thread blocks the signal.
private func isBlocked(_ signal: CInt) -> Bool {
    var mask = sigset_t()
    pthread_sigmask(SIG_SETMASK, nil, &mask)
    return sigismember(&mask, signal) == 1
}

@Suite struct ThreadSignalTests {
    @Test func countsItsPosts() {
        let signal = ThreadSignal()
        signal.post()
        signal.post()
        #expect(signal.wait(milliseconds: 0))
        #expect(signal.wait(seconds: 0))
        #expect(!signal.wait(milliseconds: 1))
    }

    @Test func wakesAnotherThread() {
        let (there, back) = (ThreadSignal(), ThreadSignal())
        let answer = OnThread {
            let came = there.wait(seconds: 20)
            back.post()
            return came
        }
        there.post()
        #expect(back.wait(milliseconds: 20_000))
        #expect(answer.value() == true)
    }

    /// A step of the wall clock neither ends nor prolongs a wait: the kernel is asked to wait by the other clock.
    @Test(.enabled(if: access("/proc/thread-self/syscall", R_OK) == 0)) func waitsByTheMonotonicClock() throws {
        let signal = ThreadSignal()
        let id = Atomic<Int>(0)
        let thread = try SystemThread("waits") {
            id.store(Int(threadID()), ordering: .releasing)
            _ = signal.wait(seconds: 20)
        }
        defer {
            signal.post()
            thread.join()
        }
        // futex(2): the address, the operation. Its kernel names are FUTEX_WAIT_BITSET and FUTEX_CLOCK_REALTIME.
        var call: [Substring] = []
        while call.count < 3 || call[0] != futexNumber {
            let line = (try? FileBytes.read("/proc/self/task/\(id.load(ordering: .acquiring))/syscall")) ?? []
            call = String(decoding: line, as: UTF8.self).split(separator: " ")
            sched_yield()
        }
        let operation = try #require(Int(call[2].dropFirst(2), radix: 16))
        #expect(operation & 0x7F == 9 && operation & 0x100 == 0)
    }

    private func threadID() -> CInt {
        var name = [UInt8](repeating: 0, count: 64)
        let count = readlink("/proc/thread-self", &name, name.count)
        return CInt(String(decoding: name[..<max(count, 0)], as: UTF8.self).split(separator: "/").last ?? "") ?? 0
    }

    #if arch(x86_64)
        private let futexNumber = "202"
    #else
        private let futexNumber = "98"
    #endif

    @Test func aFlagStaysSet() {
        let flag = Flag()
        #expect(!flag.isSet)
        flag.set()
        flag.set()
        #expect(flag.isSet)
    }
}
