import Glibc

/// A program that the benchmark has started, stopped with this object.
///
/// Its standard input is a pipe that ends with us, its standard output a pipe that we read, its standard error a file.
final class ChildProcess {
    let process: pid_t
    let name: String
    private let input: CInt
    private let output: CInt
    private var isRunning = true
    private var received: [UInt8] = []

    /// - Parameter errorFile: appended to; so it can be emptied while the program runs.
    init(_ path: String, _ arguments: [String], errorFile: String) throws(BenchError) {
        name = path.split(separator: "/").last.map(String.init) ?? path
        var inputPipe: [CInt] = [-1, -1], outputPipe: [CInt] = [-1, -1]
        guard pipe(&inputPipe) == 0, pipe(&outputPipe) == 0 else { throw .system("pipe") }
        // The parent's ends must not be open in the next child, or this one's input would not end with us.
        for descriptor in [inputPipe[1], outputPipe[0]] { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, inputPipe[0], 0)
        posix_spawn_file_actions_adddup2(&actions, outputPipe[1], 1)
        posix_spawn_file_actions_addopen(&actions, 2, errorFile, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_addclose(&actions, inputPipe[0])
        posix_spawn_file_actions_addclose(&actions, outputPipe[1])
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), nil]
        var process: pid_t = 0
        let result = posix_spawnp(&process, path, &actions, nil, &words, &environment)
        posix_spawn_file_actions_destroy(&actions)
        for word in words + environment { free(word) }
        Glibc.close(inputPipe[0])
        Glibc.close(outputPipe[1])
        (self.process, input, output) = (process, inputPipe[1], outputPipe[0])
        guard result == 0 else {
            isRunning = false
            throw BenchError("cannot start \(path): \(String(cString: strerror(result)))")
        }
        LiveChildren.add(process)
    }

    deinit {
        stop()
        Glibc.close(input)
        Glibc.close(output)
    }

    /// The next line of its output; `nil` when it has ended or says nothing in time.
    func readLine(seconds: Double) -> String? {
        let end = Clock.now() + seconds
        while true {
            if let newline = received.firstIndex(of: 0x0A) {
                defer { received.removeFirst(newline + 1) }
                return String(decoding: received[..<newline], as: UTF8.self)
            }
            guard receive(until: end) else { return nil }
        }
    }

    /// All of its output until it has ended, and whether it ended in time with status 0.
    func readAll(seconds: Double) -> (text: String, isGood: Bool) {
        let end = Clock.now() + seconds
        while receive(until: end) {}
        let status = wait(until: end)
        return (String(decoding: received, as: UTF8.self), status == 0)
    }

    private func receive(until end: Double) -> Bool {
        var poll = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
        let left = end - Clock.now()
        guard left > 0, Glibc.poll(&poll, 1, CInt(left * 1000) + 1) > 0 else { return false }
        var chunk = [UInt8](repeating: 0, count: 4096)
        let count = read(output, &chunk, chunk.count)
        guard count > 0 else { return false }
        received += chunk[..<count]
        return true
    }

    /// Its exit status, or `nil` when it still runs at `end`.
    private func wait(until end: Double) -> CInt? {
        var status: CInt = 0
        while isRunning {
            if waitpid(process, &status, WNOHANG) == process {
                isRunning = false
                LiveChildren.remove(process)
                return status
            }
            if Clock.now() > end { return nil }
            usleep(2000)
        }
        return status
    }

    /// Ends it: in order if it takes SIGTERM within five seconds, else at once.
    func stop() {
        guard isRunning else { return }
        kill(process, SIGTERM)
        if wait(until: Clock.now() + 5) == nil {
            kill(process, SIGKILL)
            _ = wait(until: Clock.now() + 5)
        }
    }
}

/// The children that run now, to be ended when this program is told to end.
enum LiveChildren {
    private static let room = 32
    // SAFETY: written by the one thread of this program; the signal handler only reads whole words of it.
    nonisolated(unsafe) private static let processes: UnsafeMutablePointer<pid_t> = {
        let pointer = UnsafeMutablePointer<pid_t>.allocate(capacity: room)
        pointer.initialize(repeating: 0, count: room)
        return pointer
    }()

    static func add(_ process: pid_t) {
        for index in 0..<room where processes[index] == 0 {
            processes[index] = process
            return
        }
    }

    static func remove(_ process: pid_t) {
        for index in 0..<room where processes[index] == process { processes[index] = 0 }
    }

    // SAFETY: set by the signal handler, a whole byte; nothing else writes it.
    nonisolated(unsafe) private(set) static var isEnding = false

    /// Passes SIGINT and SIGTERM on to the children. The run then fails and cleans up; a second signal ends it at once.
    static func endWithUs() {
        _ = processes
        for number in [SIGINT, SIGTERM] {
            signal(number) { _ in
                for index in 0..<LiveChildren.room where LiveChildren.processes[index] > 0 {
                    kill(LiveChildren.processes[index], SIGTERM)
                }
                if LiveChildren.isEnding { _exit(130) }
                LiveChildren.isEnding = true
            }
        }
    }
}

/// CLOCK_MONOTONIC in seconds.
enum Clock {
    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
