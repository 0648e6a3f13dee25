import Glibc

/// The codecs over another transport than a socket of ours: standard input and output. Whatever starts it for a connection
/// (inetd, systemd with `Accept=yes`, ssh, socat) is the network.
///
///     stdio-server
@main enum StdioServer {
    static func main() {
        signal(SIGPIPE, SIG_IGN)
        let conversation = Conversation()
        var room = [UInt8](repeating: 0, count: 16_384)
        while !conversation.isFinished {
            guard send(conversation.takeOutput()) else { exit(1) }
            // The codecs have no clock: they say when they want to be asked again, and are told the time.
            guard hasInput(before: conversation.deadline) else {
                conversation.expire(now: now())
                continue
            }
            let count = read(0, &room, room.count)
            guard count > 0 else { break }
            conversation.receive(room[..<count], now: now())
        }
        // What says why it is over goes out as well.
        exit(send(conversation.takeOutput()) ? 0 : 1)
    }

    private static func hasInput(before deadline: UInt64?) -> Bool {
        var input = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
        let wait = deadline.map { deadline in
            let now = now()
            return CInt(clamping: deadline > now ? (deadline - now) / 1_000_000 + 1 : 0)
        }
        return poll(&input, 1, wait ?? -1) != 0
    }

    private static func send(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// The monotonic clock in nanoseconds.
    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
