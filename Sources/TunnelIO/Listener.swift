internal import CLinux
internal import Glibc
internal import Synchronization

/// A listening stream socket, closed with this object.
package final class Listener: Sendable {
    package let descriptor: CInt
    /// Where it listens, with the port that the kernel chose when 0 was asked for.
    package let address: SocketAddress
    /// The socket's file, which goes with the listener while it is still the one that was bound.
    private let file: SocketFile?
    private let isFileLeft = Atomic<Bool>(false)

    /// The longest queue of connections that wait to be accepted; the kernel cuts it to `somaxconn`.
    private static let backlog: CInt = 4096

    /// Binds and listens.
    ///
    /// - Parameters:
    ///   - address: where.
    ///   - isShared: lets several listeners bind the same port, so that the kernel spreads connections over them.
    ///   - access: who may connect to a Unix socket.
    /// - Throws: ``IOError`` with the failed call; a Unix path that cannot be had is `EADDRINUSE`, and `detail` says why.
    package init(
        _ address: SocketAddress, isShared: Bool, access: SocketFile.Access = SocketFile.Access()
    ) throws(IOError) {
        let descriptor = CLinux_socket(address.family)
        guard descriptor >= 0 else { throw .fromErrno("socket") }
        do throws(IOError) {
            if case .unix(let path) = address {
                file = try Listener.listen(descriptor, at: path, access)
                self.address = address
            } else {
                try Listener.listen(descriptor, on: address, isShared: isShared)
                file = nil
                self.address = try Listener.boundAddress(descriptor)
            }
        } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
    }

    /// Takes over a stream socket that was bound elsewhere and listens, as a service manager passes one on.
    ///
    /// It is made non-blocking and is not inherited.
    ///
    /// - Parameter ownsFile: the file of a Unix socket will be ours once ``takeFile()`` says so. Else it belongs to who bound
    ///   it, and stays.
    /// - Throws: ``IOError`` whose `detail` says what the descriptor is instead; it stays open then.
    package init(adopting descriptor: CInt, ownsFile: Bool = false) throws(IOError) {
        func option(_ name: CInt) throws(IOError) -> CInt {
            var (value, length) = (CInt(0), socklen_t(MemoryLayout<CInt>.size))
            guard getsockopt(descriptor, SOL_SOCKET, name, &value, &length) == 0 else {
                // EBADF where there is none of that number, ENOTSOCK for a file.
                throw .fromErrno("getsockopt")
            }
            return value
        }
        guard try option(SO_TYPE) == CInt(SOCK_STREAM.rawValue) else {
            throw IOError(.system(EPROTOTYPE), "getsockopt", detail: "it is no stream socket")
        }
        guard try option(SO_ACCEPTCONN) == 1 else {
            throw IOError(.system(EINVAL), "getsockopt", detail: "it does not listen")
        }
        address = try Listener.boundAddress(descriptor)
        let (flags, modes) = (fcntl(descriptor, F_GETFD), fcntl(descriptor, F_GETFL))
        guard flags >= 0, modes >= 0, fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) == 0,
            fcntl(descriptor, F_SETFL, modes | O_NONBLOCK) == 0
        else { throw .fromErrno("fcntl") }
        file = if ownsFile, case .unix(let path) = address { try? SocketFile(bound: path) } else { nil }
        self.descriptor = descriptor
        isFileLeft.store(true, ordering: .relaxed)
    }

    /// The socket's file is ours from now on.
    package func takeFile() { isFileLeft.store(false, ordering: .relaxed) }

    /// The socket's file belongs to another process from now on.
    package func leaveFile() { isFileLeft.store(true, ordering: .relaxed) }

    deinit {
        // In this order: once it is closed, another server may take the path for stale and bind its own. And as long as it
        // is open, the file's inode is not given to another one.
        if !isFileLeft.load(ordering: .relaxed) { file?.remove() }
        close(descriptor)
    }

    private static func listen(_ descriptor: CInt, on address: SocketAddress, isShared: Bool) throws(IOError) {
        _ = CLinux_set_flag(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        if isShared, CLinux_set_flag(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) != 0 {
            throw IOError.fromErrno("setsockopt SO_REUSEPORT")
        }
        if address.family == AF_INET6 {
            // A wildcard serves both families, as Go's listeners and so the vendor's samples do.
            _ = CLinux_set_flag(descriptor, CInt(IPPROTO_IPV6), CLinux_IPV6_V6ONLY(), 0)
        }
        try bind(descriptor, address)
        if Glibc.listen(descriptor, backlog) != 0 { throw IOError.fromErrno("listen") }
    }

    private static func listen(
        _ descriptor: CInt, at path: String, _ access: SocketFile.Access
    ) throws(IOError) -> SocketFile {
        try SocketFile.makeRoom(at: path)
        // Until it has its group and mode nobody but our own user may connect: the mode of the socket is that of the file
        // which bind(2) makes, less the umask.
        if fchmod(descriptor, 0o600) != 0 { throw IOError.fromErrno("fchmod") }
        try bind(descriptor, .unix(path: path))
        if Glibc.listen(descriptor, backlog) != 0 { throw IOError.fromErrno("listen") }
        let file = try SocketFile(bound: path)
        do throws(IOError) { try file.allow(access) } catch {
            file.remove()
            throw error
        }
        return file
    }

    private static func bind(_ descriptor: CInt, _ address: SocketAddress) throws(IOError) {
        guard let result = address.withSockaddr({ Glibc.bind(descriptor, $0, $1) }) else {
            throw IOError(.system(ENAMETOOLONG), "bind")
        }
        if result != 0 { throw IOError.fromErrno("bind") }
    }

    private static func boundAddress(_ descriptor: CInt) throws(IOError) -> SocketAddress {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard result == 0 else { throw .fromErrno("getsockname") }
        guard let address = SocketAddress(storage, length: length) else {
            throw IOError(.system(EAFNOSUPPORT), "getsockname", detail: "it is neither TCP nor a Unix socket")
        }
        return address
    }
}

/// Accepts a listener's connections on one loop.
package final class Acceptor: ReadinessHandler {
    /// Connections taken in one turn, so that those already open get theirs.
    private static let maxPerTurn = 64
    /// How long to leave the queue alone when the process has no descriptor left.
    private static let pause: UInt64 = 100_000_000

    private let listener: Listener
    private let reactor: Reactor
    private let isShared: Bool
    private var registration: Registration?
    private let accepted: (CInt, SocketAddress?) -> Void
    private let failed: (IOError) -> Void
    private lazy var retry = Deadline(on: reactor) { [unowned self] in resume() }

    /// - Parameters:
    ///   - isShared: whether other loops accept from the same descriptor.
    ///   - accepted: is given each connection's descriptor, which it owns, and the peer.
    ///   - failed: called when accepting has to pause, for example without descriptors left.
    package init(
        _ listener: Listener, on reactor: Reactor, isShared: Bool, accepted: @escaping (CInt, SocketAddress?) -> Void,
        failed: @escaping (IOError) -> Void
    ) throws(IOError) {
        (self.listener, self.reactor, self.isShared) = (listener, reactor, isShared)
        (self.accepted, self.failed) = (accepted, failed)
        registration = try reactor.registerListener(listener.descriptor, isShared: isShared, self)
    }

    /// Accepts no more.
    package func stop() {
        retry.cancel()
        guard let registration else { return }
        reactor.deregisterListener(listener.descriptor, registration)
        self.registration = nil
    }

    package func ready(_ readiness: Readiness) {
        for _ in 0..<Acceptor.maxPerTurn {
            var storage = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let descriptor = CLinux_accept(listener.descriptor, &storage, &length)
            if descriptor >= 0 {
                _ = CLinux_set_flag(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, 1)
                accepted(descriptor, SocketAddress(storage))
                continue
            }
            switch errno {
            case EAGAIN: return
            case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                failed(.fromErrno("accept"))
                stop()
                retry.set(after: Acceptor.pause)
                return
            // The connection died in the queue; the next one is unharmed (accept(2)).
            default: continue
            }
        }
    }

    private func resume() {
        guard registration == nil else { return }
        do { registration = try reactor.registerListener(listener.descriptor, isShared: isShared, self) } catch {
            failed(error)
            retry.set(after: Acceptor.pause)
        }
    }
}
