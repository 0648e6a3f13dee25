import Glibc

/// A TCP socket on 127.0.0.1 that blocks, for the two ends of the demo. No call waits longer than ``timeout``.
struct BlockingSocket: ~Copyable {
    /// Seconds. Everything happens on one machine; longer means that something is wrong.
    private static let timeout = 5

    let descriptor: CInt

    /// Takes a descriptor over.
    init(_ descriptor: CInt) throws(DemoError) {
        self.descriptor = descriptor
        var limit = timeval(tv_sec: Self.timeout, tv_usec: 0)
        var on: CInt = 1
        let size = socklen_t(MemoryLayout<timeval>.size)
        guard setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size) == 0,
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size) == 0,
            setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size)) == 0
        else { throw Self.failure("setsockopt") }
    }

    deinit { close(descriptor) }

    static func connect(port: UInt16) throws(DemoError) -> BlockingSocket {
        let socket = try make()
        var address = loopback(port)
        let result = withSocketAddress(&address) { Glibc.connect(socket.descriptor, $0, $1) }
        guard result == 0 else { throw failure("connect to 127.0.0.1:\(port)") }
        return socket
    }

    /// A listener on a free port.
    static func listen() throws(DemoError) -> BlockingSocket {
        let socket = try make()
        var address = loopback(0)
        let bound = withSocketAddress(&address) { bind(socket.descriptor, $0, $1) }
        guard bound == 0, Glibc.listen(socket.descriptor, 16) == 0 else { throw failure("listen on 127.0.0.1") }
        return socket
    }

    /// The port of our side.
    var port: UInt16 {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    /// What has come; empty at the end of the stream.
    func read() throws(DemoError) -> [UInt8] {
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: 65_536) { room, used in
            count = Glibc.read(descriptor, room.baseAddress, room.count)
            used = max(0, count)
        }
        guard count >= 0 else { throw Self.failure("read") }
        return bytes
    }

    func write(_ bytes: [UInt8]) throws(DemoError) {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Self.failure("write") }
            written += count
        }
    }

    private static func make() throws(DemoError) -> BlockingSocket {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure("socket") }
        return try BlockingSocket(descriptor)
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private static func withSocketAddress(
        _ address: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) -> CInt {
        withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func failure(_ operation: String) -> DemoError {
        errno == EAGAIN
            ? DemoError("\(operation): nothing happened for \(timeout) s")
            : .system(operation)
    }
}
