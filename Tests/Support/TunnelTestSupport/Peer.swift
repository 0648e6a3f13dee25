internal import Glibc
internal import TunnelCore
package import TunnelIO

/// The other end of a connection under test: a blocking descriptor that closes itself and gives up after 20 seconds.
package final class Peer: Sendable {
    package let descriptor: CInt

    package init(_ descriptor: CInt) {
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
    package func send(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    package func send(_ text: String) { send(Array(text.utf8)) }

    /// What has come, at most `count` bytes; empty at the end of the stream, `nil` after an error.
    package func receive(atMost count: Int = 65_536) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let received = recv(descriptor, &bytes, count, 0)
        return received < 0 ? nil : Array(bytes[..<received])
    }

    /// Exactly that many bytes, or fewer at the end of the stream.
    package func receive(exactly count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count, let piece = receive(atMost: count - bytes.count), !piece.isEmpty { bytes += piece }
        return bytes
    }

    /// Whether the peer has ended its direction, after whatever came before.
    package func isAtEnd() -> Bool {
        while let piece = receive() { if piece.isEmpty { return true } }
        return false
    }

    package func shutDown() { shutdown(descriptor, CInt(SHUT_WR)) }

    /// Ends the connection with a reset.
    package func reset() {
        var value = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
        shutdown(descriptor, CInt(SHUT_RDWR))
    }
}

/// Two connected stream sockets: a descriptor for the object under test and the other end.
package func socketPair() throws -> (CInt, Peer) {
    var pair: [CInt] = [-1, -1]
    guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &pair) == 0 else { throw TestError("socketpair") }
    _ = fcntl(pair[0], F_SETFL, fcntl(pair[0], F_GETFL) | O_NONBLOCK)
    return (pair[0], Peer(pair[1]))
}

package struct TestError: Error, CustomStringConvertible {
    package let description: String
    package init(_ step: String) { description = "\(step): \(String(cString: strerror(errno)))" }
}

/// A path in /tmp that nobody uses.
package func temporaryPath() -> String { "/tmp/tunnel-\(getpid())-\(UInt64.random(in: 0 ... .max))" }

extension SocketAddress {
    package static func loopback(_ port: UInt16) -> SocketAddress { .ip(IPAddress(v4: 0x7F00_0001), port: port) }

    package var port: UInt16 { if case .ip(_, let port) = self { port } else { 0 } }
}

// MARK: Connecting

/// A blocking connection to a listener.
package func connect(to address: SocketAddress) throws -> Peer {
    let descriptor = socket(address.family, CInt(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw TestError("socket") }
    guard address.withSockaddr({ Glibc.connect(descriptor, $0, $1) }) == 0 else {
        let error = TestError("connect \(address)")
        close(descriptor)
        throw error
    }
    var one: CInt = 1
    setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<CInt>.size))
    return Peer(descriptor)
}

/// A blocking connection to a port of 127.0.0.1.
package func connect(port: UInt16) throws -> Peer { try connect(to: .loopback(port)) }

/// A blocking connection to a Unix socket.
package func connect(path: String) throws -> Peer { try connect(to: .unix(path: path)) }

extension Listener {
    /// Waits for a connection.
    package func accept() throws -> Peer {
        var readiness = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&readiness, 1, 20_000) == 1 else { throw TestError("poll") }
        let accepted = Glibc.accept(descriptor, nil, nil)
        guard accepted >= 0 else { throw TestError("accept") }
        return Peer(accepted)
    }
}

/// A port where nobody listens, and that nobody else can be given meanwhile: it is bound.
package final class ClosedPort: Sendable {
    package let address: SocketAddress
    private let descriptor: CInt

    package init() throws { (descriptor, address) = try bindToLoopback() }

    deinit { close(descriptor) }
}

private func bindToLoopback() throws -> (CInt, SocketAddress) {
    let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    var (bound, length) = (sockaddr_in(), socklen_t(MemoryLayout<sockaddr_in>.size))
    guard SocketAddress.loopback(0).withSockaddr({ bind(descriptor, $0, $1) }) == 0 else { throw TestError("bind") }
    _ = withUnsafeMutablePointer(to: &bound) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    return (descriptor, .loopback(UInt16(bigEndian: bound.sin_port)))
}

/// A listener whose queue is full and never accepted from: the kernel drops the next SYN, so that it gets no response.
package final class FullListener: Sendable {
    package let address: SocketAddress
    package var port: UInt16 { address.port }
    private let descriptor: CInt
    private let fillers: [CInt]

    package init() throws {
        let (descriptor, address) = try bindToLoopback()
        guard listen(descriptor, 0) == 0 else { throw TestError("listen") }
        fillers = (0..<4).map { _ in
            let filler = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
            _ = fcntl(filler, F_SETFL, O_NONBLOCK)
            _ = address.withSockaddr { Glibc.connect(filler, $0, $1) }
            return filler
        }
        (self.address, self.descriptor) = (address, descriptor)
    }

    deinit {
        for filler in fillers { close(filler) }
        close(descriptor)
    }
}
