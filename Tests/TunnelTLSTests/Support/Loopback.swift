import Glibc

struct SocketError: Error {
    let step: String
    let code = errno
}

/// A blocking loopback socket that closes itself.
struct Socket: ~Copyable {
    fileprivate let descriptor: CInt

    static func connect(port: UInt16) throws -> Socket {
        let socket = Socket(descriptor: try makeDescriptor())
        guard withAddress(port, { Glibc.connect(socket.descriptor, $0, $1) }) == 0 else {
            throw SocketError(step: "connect")
        }
        return socket
    }

    deinit { _ = close(descriptor) }

    /// Whatever has come. Throws at the end: no caller here expects one.
    func receive() throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { throw SocketError(step: "receive") }
        return Array(bytes[..<count])
    }

    func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            guard count > 0 else { throw SocketError(step: "send") }
            rest = rest.dropFirst(count)
        }
    }

    func shutDown() { shutdown(descriptor, CInt(SHUT_WR)) }
}

struct Listener: ~Copyable {
    private let descriptor: CInt
    let port: UInt16

    init() throws {
        let descriptor = try makeDescriptor()
        guard withAddress(0, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 1) == 0 else {
            throw SocketError(step: "listen")
        }
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
        }
        self.descriptor = descriptor
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit { _ = close(descriptor) }

    func accept() throws -> Socket {
        let accepted = Glibc.accept(descriptor, nil, nil)
        guard accepted >= 0 else { throw SocketError(step: "accept") }
        return Socket(descriptor: accepted)
    }
}

/// Gives up after 20 seconds without a byte, so that a peer that dies fails the test instead of hanging it.
private func makeDescriptor() throws -> CInt {
    let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw SocketError(step: "socket") }
    var timeout = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    return descriptor
}

private func withAddress(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
}
