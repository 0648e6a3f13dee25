internal import CLinux
internal import Glibc

/// A listening stream socket, closed with this object.
package final class Listener: Sendable {
    package let descriptor: CInt
    /// Where it listens, with the port that the kernel chose when 0 was asked for.
    package let address: SocketAddress
    /// The socket's file, which goes with the listener while it is still the one that was bound.
    private let file: SocketFile?

    /// The longest queue of connections that wait to be accepted; the kernel cuts it to `somaxconn`.
    private static let backlog: CInt = 4096

    /// Binds and listens.
    ///
    /// - Parameters:
    ///   - address: where.
    ///   - isShared: lets several listeners bind the same port, so that the kernel spreads connections over them.
    /// - Throws: ``IOError`` with the failed call; a Unix path in use by a live server is `EADDRINUSE`.
    package init(_ address: SocketAddress, isShared: Bool) throws(IOError) {
        let descriptor = CLinux_socket(address.family)
        guard descriptor >= 0 else { throw .fromErrno("socket") }
        do throws(IOError) {
            if case .unix(let path) = address {
                try Listener.removeStale(path)
            } else {
                _ = CLinux_set_flag(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
                if isShared, CLinux_set_flag(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) != 0 {
                    throw IOError.fromErrno("setsockopt SO_REUSEPORT")
                }
                if address.family == AF_INET6 {
                    // A wildcard serves both families, as Go's listeners and so the vendor's samples do.
                    _ = CLinux_set_flag(descriptor, CInt(IPPROTO_IPV6), CLinux_IPV6_V6ONLY(), 0)
                }
            }
            guard let result = address.withSockaddr({ Glibc.bind(descriptor, $0, $1) }) else {
                throw IOError(.system(ENAMETOOLONG), "bind")
            }
            if result != 0 { throw IOError.fromErrno("bind") }
            if Glibc.listen(descriptor, Listener.backlog) != 0 { throw IOError.fromErrno("listen") }
            self.address = try Listener.boundAddress(descriptor, asked: address)
        } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        if case .unix(let path) = address { file = SocketFile(path) } else { file = nil }
    }

    deinit {
        // In this order: once it is closed, another server may take the path for stale and bind its own.
        file?.remove()
        close(descriptor)
    }

    private static func boundAddress(_ descriptor: CInt, asked: SocketAddress) throws(IOError) -> SocketAddress {
        if case .unix = asked { return asked }
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard result == 0, let address = SocketAddress(storage) else { throw .fromErrno("getsockname") }
        return address
    }

    /// Removes a socket file that no server listens on any more; a live one, or another kind of file, stays.
    private static func removeStale(_ path: String) throws(IOError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw IOError(.system(EADDRINUSE), "bind") }
        let probe = CLinux_socket(AF_UNIX)
        guard probe >= 0 else { throw .fromErrno("socket") }
        defer { close(probe) }
        let isRefused =
            SocketAddress.unix(path: path).withSockaddr { Glibc.connect(probe, $0, $1) != 0 && errno == ECONNREFUSED }
        guard isRefused == true else { throw IOError(.system(EADDRINUSE), "bind") }
        unlink(path)
    }
}

/// A path and which file it led to. Somebody may have removed that one and bound another since: a second server in a
/// shared folder, or an operator who made room. Theirs is not removed.
private struct SocketFile {
    let path: String
    let device: UInt
    let inode: UInt

    init?(_ path: String) {
        guard let (device, inode) = SocketFile.identity(path) else { return nil }
        (self.path, self.device, self.inode) = (path, device, inode)
    }

    func remove() {
        guard let found = SocketFile.identity(path), found == (device, inode) else { return }
        unlink(path)
    }

    private static func identity(_ path: String) -> (UInt, UInt)? {
        var status = stat()
        return lstat(path, &status) == 0 ? (UInt(status.st_dev), UInt(status.st_ino)) : nil
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
