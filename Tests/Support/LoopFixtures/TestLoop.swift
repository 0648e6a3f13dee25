internal import Glibc
internal import Synchronization
package import TunnelIO

/// Why a body on a loop gave no result.
package enum TestLoopError: Error { case hung }

/// Runs `body` on a loop that the calling thread serves, and returns what it returns.
///
/// - Throws: ``TestLoopError/hung`` when it took 20 seconds: whoever waits on a loop and is not resumed fails its test
///   instead of stopping all of them.
package func onLoop<R: Sendable>(_ body: @escaping @Sendable (isolated Loop) async throws -> R) throws -> R {
    let loop = try Loop()
    let result = Mutex<Result<R, any Error>?>(nil)
    loop.spawn { loop in
        let watchdog = Deadline { [unowned loop] in loop.stop() }
        loop.reactor.set(watchdog, after: 20_000_000_000)
        let outcome: Result<R, any Error>
        do { outcome = .success(try await body(loop)) } catch { outcome = .failure(error) }
        loop.reactor.remove(watchdog)
        result.withLock { $0 = outcome }
        loop.stop()
    }
    loop.run()
    guard let outcome = result.withLock({ $0 }) else { throw TestLoopError.hung }
    return try outcome.get()
}

/// Lets the loop look at its descriptors and deadlines a few times.
package func turns(_ count: Int = 3, on reactor: Reactor) async {
    for _ in 0..<count {
        let gate = Gate()
        reactor.set(gate.deadline, after: 0)
        await gate.wait()
    }
}

/// Waits for a deadline that is due at once, so that the loop's own dispatch resumes the task.
private final class Gate {
    private var waiter: UnsafeContinuation<Void, Never>?
    private(set) lazy var deadline = Deadline { [unowned self] in
        waiter?.resume()
        waiter = nil
    }

    func wait() async { await withUnsafeContinuation { waiter = $0 } }
}

/// A listener whose queue is full and never accepted from: the kernel drops the next SYN, so that it gets no answer.
package final class FullListener: Sendable {
    package let port: UInt16
    private let descriptor: CInt
    private let fillers: [CInt]

    package init() throws {
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

private func withLoopback<R>(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
}
