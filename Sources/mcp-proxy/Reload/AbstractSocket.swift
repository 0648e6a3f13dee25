import CLinux
import Glibc
import TunnelIO

/// A blocking Unix stream socket with an abstract name (unix(7)): one that lives in the network namespace and in no folder.
///
/// A file system that is read-only, a container without a shell and `/proc` entries that belong to root make no difference
/// to it, and nothing is left behind by a process that is killed. What it lacks is permissions, so each side asks the kernel
/// who the other one is.
struct AbstractSocket: ~Copyable {
    private let descriptor: CInt

    /// For each single call: nobody is waited for without an end.
    static let patience = 5

    private init(owning descriptor: CInt) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    // MARK: Making

    static func listen(_ name: String) throws(IOError) -> AbstractSocket {
        let socket = try make()
        try socket.call("bind", name) { bind(socket.descriptor, $0, $1) }
        guard Glibc.listen(socket.descriptor, 16) == 0 else { throw .last("listen") }
        return socket
    }

    static func connect(_ name: String) throws(IOError) -> AbstractSocket {
        let socket = try make()
        // Where nobody accepts and the queue is full, connecting waits as long as sending.
        socket.limit()
        try socket.call("connect", name) { Glibc.connect(socket.descriptor, $0, $1) }
        return socket
    }

    /// Waits for the next connection.
    func accept() throws(IOError) -> AbstractSocket {
        let accepted = Glibc.accept(descriptor, nil, nil)
        guard accepted >= 0 else { throw .last("accept") }
        let socket = AbstractSocket(owning: accepted)
        socket.limit()
        return socket
    }

    private static func make() throws(IOError) -> AbstractSocket {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .last("socket") }
        return AbstractSocket(owning: descriptor)
    }

    private func limit() {
        var time = timeval(tv_sec: AbstractSocket.patience, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    private func call(
        _ operation: String, _ name: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) throws(IOError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = [0] + Array(name.utf8)
        let isFitting = withUnsafeMutableBytes(of: &address.sun_path) { room in
            guard bytes.count <= room.count else { return false }
            room.copyBytes(from: bytes)
            return true
        }
        guard isFitting else { throw IOError(.system(ENAMETOOLONG), operation) }
        // The length tells where the name ends: zeros behind it would belong to it.
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
        guard result == 0 else { throw .last(operation) }
    }

    // MARK: Talking

    /// The user that the kernel names as the other side: of whoever connected, or of whoever began to listen.
    var peerUser: uid_t? { peer?.user }

    /// Whether the other side is a process that this one could see: not one of another container that shares the network.
    var isPeerVisible: Bool { peer.map { $0.process > 0 } ?? false }

    private var peer: (process: pid_t, user: uid_t)? {
        // `struct ucred`, which Glibc exports to GNU sources only: process, user, group.
        var credentials: (pid: pid_t, user: uid_t, group: gid_t) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 else { return nil }
        return (credentials.pid, credentials.user)
    }

    /// Waits longer for the other side's next words.
    func wait(seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Sends a text and says that it was all.
    ///
    /// - Parameter descriptors: go with its first bytes; this process keeps its own.
    func send(_ text: String, with descriptors: [CInt] = []) throws(IOError) {
        var rest = Array(text.utf8)[...]
        var unsent = descriptors
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                CLinux_send_descriptors(descriptor, $0.baseAddress, $0.count, unsent, CInt(unsent.count))
            }
            guard count > 0 else { throw .last("send") }
            unsent = []
            rest = rest.dropFirst(count)
        }
        shutdown(descriptor, CInt(SHUT_WR))
    }

    /// What the other side sends until it says that it was all.
    ///
    /// - Parameter limit: bytes; the rest is left out.
    func receive(limit: Int) throws(IOError) -> String {
        var received: [CInt] = []
        // What was not asked for is not kept open.
        defer { for descriptor in received { close(descriptor) } }
        return try receive(limit: limit, descriptors: &received)
    }

    /// The same with the descriptors that come with it, which are the caller's, also when this throws.
    func receive(limit: Int, descriptors: inout [CInt]) throws(IOError) -> String {
        var bytes = [UInt8](repeating: 0, count: limit)
        var filled = 0
        while filled < limit {
            var came = [CInt](repeating: -1, count: CLinux_most_descriptors)
            var number = CInt(came.count)
            let count = bytes.withUnsafeMutableBytes { room in
                CLinux_receive_descriptors(
                    descriptor, room.baseAddress.map { $0 + filled }, room.count - filled, &came, &number)
            }
            descriptors += came.prefix(Int(number))
            if count == 0 { break }
            if count < 0, errno == EINTR { continue }
            // Who hung up without having read what we sent resets the connection, behind all that it said itself.
            if count < 0, errno == ECONNRESET, filled > 0 { break }
            guard count > 0 else { throw errno == EAGAIN ? IOError(.timedOut, "read") : .last("read") }
            filled += count
        }
        return String(decoding: bytes[..<filled], as: UTF8.self)
    }
}

extension IOError {
    /// The failure that `errno` holds now.
    fileprivate static func last(_ operation: String) -> IOError { IOError(.system(errno), operation) }
}
