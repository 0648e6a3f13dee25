import Glibc
import TunnelIO

/// The process that takes a running proxy's place, as the one that started it sees it.
///
/// It gets the listeners as a service manager passes them, and one end of a pair of sockets, into which it writes a byte once it serves.
/// So whoever waits learns of its end as well.
struct SuccessorProcess {
    enum Outcome: Equatable {
        case ready
        case ended(String)
        case overdue
    }

    let id: pid_t
    private let channel: CInt

    /// The first descriptor that is passed, as sd_listen_fds(3) has it.
    private static let first: CInt = 3
    /// `POSIX_SPAWN_SETSID` of <spawn.h>, which glibc shows to GNU sources only.
    private static let setsid: Int16 = 0x80

    /// Starts this very program.
    ///
    /// - Parameter offer: its descriptors are closed here.
    static func start(_ offer: inout ReloadClient.Offer, path: String) throws -> SuccessorProcess {
        defer { offer.close() }
        var ends: (CInt, CInt) = (-1, -1)
        let isMade = withUnsafeMutableBytes(of: &ends) { room in
            room.withMemoryRebound(to: CInt.self) {
                socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, $0.baseAddress)
            }
        }
        guard isMade == 0 else { throw ReloadCommand.Complaint("socketpair: \(IOError.text(of: errno))") }
        let (reader, writer) = ends
        defer { close(writer) }

        // The order of the child's descriptors: standard input, output and error, the listeners, the channel.
        var sources: [CInt] = []
        defer { for source in sources { close(source) } }
        for descriptor in offer.listeners + [writer] {
            // Out of the way of the numbers that they get in the child.
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 200)
            guard copy >= 0 else { throw ReloadCommand.Complaint("fcntl: \(IOError.text(of: errno))") }
            sources.append(copy)
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, offer.standardError, 1)
        posix_spawn_file_actions_adddup2(&actions, offer.standardError, 2)
        for (index, source) in sources.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, source, first + CInt(index))
        }
        // It belongs to no terminal, and hears nothing that this command is told.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, setsid | Int16(POSIX_SPAWN_SETSIGMASK))
        var nothing = sigset_t()
        sigemptyset(&nothing)
        posix_spawnattr_setsigmask(&attributes, &nothing)

        let variables = [
            "LISTEN_FDS": "\(offer.names.count)", "LISTEN_FDNAMES": offer.names.map(\.rawValue).joined(separator: ":"),
            ManagerEnvironment.readyName: "\(first + CInt(sources.count) - 1)",
        ]
        var process: pid_t = 0
        let result = withStrings(["mcp-proxy"] + offer.arguments) { arguments in
            withStrings(environment(with: variables)) { variables in
                posix_spawn(&process, "/proc/self/exe", &actions, &attributes, arguments, variables)
            }
        }
        guard result == 0 else {
            close(reader)
            throw ReloadCommand.Complaint("posix_spawn: \(IOError.text(of: result))")
        }
        return SuccessorProcess(id: process, channel: reader)
    }

    func waitUntilReady(seconds: Int) -> Outcome {
        var poll = pollfd(fd: channel, events: Int16(POLLIN), revents: 0)
        var result: CInt
        repeat { result = Glibc.poll(&poll, 1, CInt(seconds * 1000)) } while result < 0 && errno == EINTR
        guard result > 0 else { return .overdue }
        var byte: UInt8 = 0
        if read(channel, &byte, 1) == 1 { return .ready }
        var status: CInt = 0
        waitpid(id, &status, 0)
        let signal = status & 0x7F
        return .ended(signal == 0 ? "ended with status \(status >> 8 & 0xFF)" : "was ended by signal \(signal)")
    }

    /// Tells it that the process before has left: the sockets' files are its own.
    func takesPlace() {
        var byte: UInt8 = 1
        _ = write(channel, &byte, 1)
        close(channel)
    }

    func kill() {
        _ = Glibc.kill(id, SIGKILL)
        waitpid(id, nil, 0)
    }

    /// This process's own, less what a service manager may have said to it.
    private static func environment(with variables: [String: String]) -> [String] {
        var result: [String] = []
        var place = environ
        while let entry = place.pointee {
            let text = String(cString: entry)
            let name = String(text.prefix { $0 != "=" })
            if !ManagerEnvironment.names.contains(name) { result.append(text) }
            place += 1
        }
        return result + variables.map { "\($0.key)=\($0.value)" }
    }

    private static func withStrings(
        _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> CInt
    ) -> CInt {
        let copies = texts.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies + [nil])
    }
}
