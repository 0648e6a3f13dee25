import CEscape
import Glibc
import TunnelIO

/// One way out, to be tried.
struct Attempt {
    let name: String
    let words: [String]

    private static let isX86 = CallMachine.current == .x86
    private static let clone = isX86 ? 56 : 220
    private static let ioctl = isX86 ? 16 : 29
    private static let prctl = isX86 ? 157 : 167
    private static let stream = CInt(SOCK_STREAM.rawValue)
    private static let sequence = CInt(SOCK_SEQPACKET.rawValue)

    init(_ line: String) {
        let words = line.split(separator: " ").map(String.init)
        (name, self.words) = (words.first ?? "", Array(words.dropFirst()))
    }

    /// `ok`, the name of an error, or a value.
    func outcome() -> String {
        if let result = file() ?? network() ?? process() { return Attempt.word(result) }
        switch name {
        case "thread":
            do { try SystemThread("escape") {}.join() } catch { return "\(error)" }
            return "ok"
        case "privileges": return "\(CEscape_call(Attempt.prctl, 39, 0, 0, 0, 0, 0))"
        case "facts": return ProcessFacts().map { "\($0.openDescriptors > 0)" } ?? "none"
        case "resolve":
            var list: UnsafeMutablePointer<addrinfo>?
            let failure = getaddrinfo(text(0), nil, nil, &list)
            return failure == 0 ? "ok" : String(cString: gai_strerror(failure))
        case "32-bit":
            CEscape_call_as_32_bit()
            return "ok"
        case "x32":
            CEscape_call_as_x32()
            return "ok"
        default: return "unknown"
        }
    }

    private func file() -> CInt? {
        switch name {
        case "read": opening(O_RDONLY)
        case "write": opening(O_WRONLY | O_CREAT)
        case "list": opening(O_RDONLY | O_DIRECTORY)
        case "truncate": errorOf(truncate(text(0), 0))
        case "remove": errorOf(unlink(text(0)))
        case "rename": errorOf(rename(text(0), text(1)))
        case "folder": errorOf(mkdir(text(0), 0o700))
        case "link": errorOf(symlink("/etc/shadow", text(0)))
        default: nil
        }
    }

    private func network() -> CInt? {
        switch name {
        case "connect": CEscape_connect(port, Attempt.stream, 0)
        case "mptcp": CEscape_connect(port, Attempt.stream, 262)
        case "sctp": CEscape_connect(port, Attempt.sequence, 0)
        case "sendto": CEscape_fast_open(port, 0)
        case "sendmsg": CEscape_fast_open(port, 1)
        case "sendmmsg": CEscape_fast_open(port, 2)
        case "bind": CEscape_bind(port)
        case "abstract": CEscape_connect_unix(text(0), 1)
        case "unix": CEscape_connect_unix(text(0), 0)
        default: nil
        }
    }

    private func process() -> CInt? {
        switch name {
        case "exec": return started { errorOf(execv(text(0), $0)) }
        case "spawn":
            return started { list in
                var process = pid_t()
                let failure = posix_spawn(&process, text(0), nil, nil, list, nil)
                if failure == 0 { waitpid(process, nil, 0) }
                return -failure
            }
        case "fork":
            // By its number, as the C library's function does more than the call.
            let process = CEscape_call(Attempt.clone, Int(SIGCHLD), 0, 0, 0, 0, 0)
            if process == 0 { _exit(0) }
            return process < 0 ? CInt(clamping: process) : 0
        case "namespace": return call(Attempt.clone, 0x1001_0000)
        case "clone3": return call(435)
        case "dumpable": return call(Attempt.prctl, 4, 1)
        case "signal": return errorOf(kill(pid_t(text(0)) ?? 0, 0))
        case "type":
            // Standard input may be a terminal; whether the request is let through is what counts.
            return call(Attempt.ioctl, 0, 0x5412)
        default: return nil
        }
    }

    /// Makes a call that is on the list, with arguments that no kernel would take, so that nothing comes of one that gets
    /// through.
    static func make(_ denied: DeniedCall) -> String? {
        guard let number = CallMachine.current.flatMap(denied.number(on:)) else { return nil }
        let result = CEscape_call(Int(number), -1, -1, -1, -1, -1, -1)
        // fork(2) and vfork(2) take no arguments that could be wrong.
        if result == 0, ["fork", "vfork"].contains(denied.name) { _exit(0) }
        return word(result < 0 ? CInt(clamping: result) : 0)
    }

    // MARK: Words

    private static func word(_ result: CInt) -> String {
        result < 0 ? String(cString: CEscape_name(-result)) : "ok"
    }

    private func text(_ index: Int) -> String { index < words.count ? words[index] : "" }
    private var port: UInt16 { UInt16(text(0)) ?? 0 }
    private func errorOf(_ value: CInt) -> CInt { value < 0 ? -errno : 0 }

    private func call(_ number: Int, _ a: Int = 0, _ b: Int = 0) -> CInt {
        let result = CEscape_call(number, a, b, 0, 0, 0, 0)
        return result < 0 ? CInt(clamping: result) : 0
    }

    private func opening(_ flags: CInt) -> CInt {
        let descriptor = open(text(0), flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return -errno }
        close(descriptor)
        return 0
    }

    private func started(_ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> CInt) -> CInt {
        let list: [UnsafeMutablePointer<CChar>?] = [strdup(text(0)), nil]
        return list.withUnsafeBufferPointer { $0.baseAddress.map(body) ?? 0 }
    }
}
