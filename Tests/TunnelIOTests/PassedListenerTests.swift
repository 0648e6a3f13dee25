import Glibc
import Testing
import TunnelCore
import TunnelIO

/// Sockets as a service manager passes them: bound and listening before the program knows of them.
@Suite struct PassedListenerTests {
    private static func makeSocket(_ family: CInt, _ type: CInt = CInt(SOCK_STREAM.rawValue)) throws -> CInt {
        let descriptor = socket(family, type, 0)
        try #require(descriptor >= 0)
        return descriptor
    }

    /// Blocking and inherited, as they come.
    private static func listening(at address: SocketAddress) throws -> CInt {
        let descriptor = try makeSocket(address.family)
        try #require(address.withSockaddr { bind(descriptor, $0, $1) } == 0)
        try #require(listen(descriptor, 8) == 0)
        return descriptor
    }

    @Test(arguments: [SocketAddress.loopback(0), .ip(IPAddress(v6High: 0, low: 1), port: 0)])
    func isTakenOver(_ address: SocketAddress) throws {
        let descriptor = try Self.listening(at: address)
        let listener = try Listener(adopting: descriptor)
        guard case .ip(let ip, let port) = listener.address, case .ip(let wanted, _) = address else { return }
        #expect(ip == wanted && port > 0)
        #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0)
        #expect(fcntl(descriptor, F_GETFL) & O_NONBLOCK != 0)
        _ = try connect(to: listener.address)
        _ = try listener.accept()
    }

    @Test func theFileOfAUnixSocketStays() throws {
        let path = temporaryPath()
        defer { unlink(path) }
        let descriptor = try Self.listening(at: .unix(path: path))
        do {
            let listener = try Listener(adopting: descriptor)
            #expect(listener.address == .unix(path: path))
        }
        var status = stat()
        #expect(stat(path, &status) == 0, "who bound it still has it")
    }

    @Test func anAbstractNameIsTold() throws {
        let descriptor = try Self.makeSocket(AF_UNIX)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = [0] + Array("mcp-proxy-test-\(getpid())".utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sa_family_t>.size + name.count))
            }
        }
        try #require(result == 0 && listen(descriptor, 1) == 0)
        #expect(try Listener(adopting: descriptor).address == .unix(path: "@mcp-proxy-test-\(getpid())"))
    }

    @Test func aDatagramSocketIsRefused() throws {
        let descriptor = try Self.makeSocket(AF_INET, CInt(SOCK_DGRAM.rawValue))
        defer { close(descriptor) }
        let error = #expect(throws: IOError.self) { try Listener(adopting: descriptor) }
        #expect(error?.detail == "it is no stream socket")
    }

    @Test func oneThatDoesNotListenIsRefused() throws {
        let descriptor = try Self.makeSocket(AF_INET)
        defer { close(descriptor) }
        let error = #expect(throws: IOError.self) { try Listener(adopting: descriptor) }
        #expect(error?.detail == "it does not listen")
        #expect(fcntl(descriptor, F_GETFD) == 0, "it is left as it was")
    }

    @Test func whatIsNoSocketIsRefused() throws {
        let descriptor = open("/dev/null", O_RDONLY)
        let error = #expect(throws: IOError.self) { try Listener(adopting: descriptor) }
        #expect(error?.code == .system(ENOTSOCK))
        close(descriptor)
        let closed = #expect(throws: IOError.self) { try Listener(adopting: 1_000_000) }
        #expect(closed?.code == .system(EBADF))
    }
}
