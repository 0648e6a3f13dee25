import Glibc

/// The other end of a connection under test: a blocking descriptor that closes itself and gives up after 20 seconds.
final class Peer: Sendable {
    let descriptor: CInt

    init(_ descriptor: CInt) {
        self.descriptor = descriptor
        var timeout = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK)
    }

    deinit { close(descriptor) }

    /// Sends all of `bytes`; whether the kernel took them.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    /// What has come, at most `count` bytes; empty at the end of the stream, `nil` after an error.
    func receive(atMost count: Int = 65_536) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let received = recv(descriptor, &bytes, count, 0)
        return received < 0 ? nil : Array(bytes[..<received])
    }

    /// Exactly that many bytes, or fewer at the end of the stream.
    func receive(exactly count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count, let piece = receive(atMost: count - bytes.count), !piece.isEmpty { bytes += piece }
        return bytes
    }

    /// Whether the peer has ended its direction, after whatever came before.
    func isAtEnd() -> Bool {
        while let piece = receive() { if piece.isEmpty { return true } }
        return false
    }

    func shutDown() { shutdown(descriptor, CInt(SHUT_WR)) }

    /// Ends the connection with a reset.
    func reset() {
        var value = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
        shutdown(descriptor, CInt(SHUT_RDWR))
    }
}

/// Two connected stream sockets: a descriptor for the object under test and the other end.
func socketPair() throws -> (CInt, Peer) {
    var pair: [CInt] = [-1, -1]
    guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &pair) == 0 else { throw TestError("socketpair") }
    _ = fcntl(pair[0], F_SETFL, fcntl(pair[0], F_GETFL) | O_NONBLOCK)
    return (pair[0], Peer(pair[1]))
}

struct TestError: Error, CustomStringConvertible {
    let description: String
    init(_ step: String) { description = "\(step): \(String(cString: strerror(errno)))" }
}

/// A blocking connection to a port of 127.0.0.1.
func connect(port: UInt16) throws -> Peer {
    let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw TestError("socket") }
    let result = withLoopback(port) { Glibc.connect(descriptor, $0, $1) }
    guard result == 0 else {
        let error = TestError("connect")
        close(descriptor)
        throw error
    }
    var one: CInt = 1
    setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<CInt>.size))
    return Peer(descriptor)
}

/// A blocking connection to a Unix socket.
func connect(path: String) throws -> Peer {
    let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
    guard descriptor >= 0, result == 0 else { throw TestError("connect \(path)") }
    return Peer(descriptor)
}

func withLoopback<R>(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
}
