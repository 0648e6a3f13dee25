import Glibc

/// A listener whose queue is full and never accepted from: the kernel drops the next SYN, so that it gets no answer.
final class FullListener: Sendable {
    let port: UInt16
    private let descriptor: CInt
    private let fillers: [CInt]

    init() throws {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        guard withLoopback(0, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 0) == 0 else {
            throw TestError("listen")
        }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        let port = UInt16(bigEndian: address.sin_port)
        fillers = (0..<4).map { _ in
            let filler = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
            _ = fcntl(filler, F_SETFL, O_NONBLOCK)
            _ = withLoopback(port) { Glibc.connect(filler, $0, $1) }
            return filler
        }
        (self.port, self.descriptor) = (port, descriptor)
    }

    deinit {
        for filler in fillers { close(filler) }
        close(descriptor)
    }
}
