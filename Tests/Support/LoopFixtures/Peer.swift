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

package struct TestError: Error, CustomStringConvertible {
    package let description: String
    package init(_ step: String) { description = "\(step): \(String(cString: strerror(errno)))" }
}

extension SocketAddress {
    package static func loopback(_ port: UInt16) -> SocketAddress { .ip(IPAddress(v4: 0x7F00_0001), port: port) }

    package var port: UInt16 { if case .ip(_, let port) = self { port } else { 0 } }
}

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
