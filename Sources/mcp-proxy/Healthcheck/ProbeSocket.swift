import Glibc
import TunnelIO

/// A connection on which every wait ends at the same deadline, however slowly the peer sends.
struct ProbeSocket: ~Copyable {
    private static let chunk = 4096

    private let descriptor: CInt
    private let target: SocketAddress
    private let deadline: ContinuousClock.Instant

    /// - Throws: ``HealthcheckError`` that names the address and what the system says, or the deadline.
    init(connectingTo target: SocketAddress, until deadline: ContinuousClock.Instant) throws(HealthcheckError) {
        let kind = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        descriptor = socket(target.family, kind, 0)
        self.target = target
        self.deadline = deadline
        guard descriptor >= 0 else { throw failure("socket", errno) }
        let result = target.withSockaddr { connect(descriptor, $0, $1) }
        // Only a path can be too long, and options and configurations with such a path are refused.
        guard let result else { throw failure("connect", ENAMETOOLONG) }
        if result == 0 { return }
        guard errno == EINPROGRESS else { throw failure("connect", errno) }
        try wait(for: POLLOUT, to: "connect")
        var error: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 else { throw failure("connect", errno) }
        guard error == 0 else { throw failure("connect", error) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func send(_ bytes: [UInt8]) throws(HealthcheckError) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            if count >= 0 {
                sent += count
            } else if errno == EAGAIN {
                try wait(for: POLLOUT, to: "write")
            } else if errno != EINTR {
                throw failure("write", errno)
            }
        }
    }

    /// What has come; empty at the end of the stream.
    func receive() throws(HealthcheckError) -> [UInt8] {
        while true {
            try wait(for: POLLIN, to: "read")
            var count = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: Self.chunk) { room, used in
                count = recv(descriptor, room.baseAddress, room.count, 0)
                used = max(0, count)
            }
            if count >= 0 { return bytes }
            guard errno == EAGAIN || errno == EINTR else { throw failure("read", errno) }
        }
    }

    private func wait(for events: CInt, to operation: String) throws(HealthcheckError) {
        while true {
            let left = deadline - .now
            guard left > .zero else {
                let limit = Healthcheck.timeout.components.seconds
                throw HealthcheckError("\(operation) \(target): nothing within \(limit) s")
            }
            var poll = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            // Rounded up, or the last millisecond would be spent spinning.
            let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000 + 1
            let count = Glibc.poll(&poll, 1, CInt(clamping: milliseconds))
            if count > 0 { return }
            guard count == 0 || errno == EINTR else { throw failure(operation, errno) }
        }
    }

    private func failure(_ operation: String, _ number: CInt) -> HealthcheckError {
        HealthcheckError("\(operation) \(target): \(IOError.text(of: number))")
    }
}
