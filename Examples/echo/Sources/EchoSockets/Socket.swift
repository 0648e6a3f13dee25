import Glibc

/// Prints a line at once, whoever reads it.
public func say(_ line: String) {
    let bytes = Array("\(line)\n".utf8)
    _ = Glibc.write(STDOUT_FILENO, bytes, bytes.count)
}

/// A blocking TCP connection, which is closed with the object.
public final class Socket: Sendable {
    private let descriptor: Int32

    private init(_ descriptor: Int32) {
        self.descriptor = descriptor
        // Small frames are not held back to be joined with others.
        set(IPPROTO_TCP, TCP_NODELAY, Int32(1))
    }

    deinit { close(descriptor) }

    public struct Failure: Error, CustomStringConvertible {
        public let description: String

        init(_ operation: String) { description = "\(operation): \(String(cString: strerror(errno)))" }
        public init(reason: String) { description = reason }
    }

    /// Connects to an IPv4 address.
    public static func connect(to address: String, port: UInt16) throws -> Socket {
        let descriptor = try opened()
        var place = try sockaddr_in(address, port: port)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        // SAFETY: the pointer is to `place` and is used within the call.
        let result = withUnsafePointer(to: &place) { place in
            place.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, size) }
        }
        guard result == 0 else {
            defer { close(descriptor) }
            throw Failure("connect to \(address):\(port)")
        }
        return Socket(descriptor)
    }

    /// Up to 64 KiB that have come; empty at the end of the connection.
    public func read() throws -> [UInt8] {
        var count = 0
        // SAFETY: recv writes at most as much as there is room, and the array is as long as what it wrote.
        let bytes = [UInt8](unsafeUninitializedCapacity: 65_536) { room, filled in
            repeat { count = recv(descriptor, room.baseAddress, room.count, 0) } while count < 0 && errno == EINTR
            filled = max(count, 0)
        }
        guard count >= 0 else { throw Failure("recv") }
        return bytes
    }

    /// Sends all, however long the peer takes.
    public func write(_ bytes: Span<UInt8>) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.extracting(sent..<bytes.count).withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure("send") }
            sent += count
        }
    }

    /// Says that nothing more is sent.
    public func endWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Reads until the peer has closed its side too, a second at most between two pieces. What comes is dropped.
    ///
    /// Whoever closes a connection with something unread in it resets it, and the reset may overtake the last frame.
    public func drain() {
        set(SOL_SOCKET, SO_RCVTIMEO, timeval(tv_sec: 1, tv_usec: 0))
        while let bytes = try? read(), !bytes.isEmpty {}
    }

    private func set<Value: BitwiseCopyable>(_ level: some BinaryInteger, _ option: Int32, _ value: Value) {
        // SAFETY: the pointer is to `value` and is used within the call.
        _ = withUnsafeBytes(of: value) {
            setsockopt(descriptor, Int32(level), option, $0.baseAddress, socklen_t($0.count))
        }
    }

    fileprivate static func opened() throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure("socket") }
        return descriptor
    }
}

/// Takes connections on this machine.
public struct Listener: ~Copyable {
    private let descriptor: Int32
    public let port: UInt16

    /// - Parameter port: 0 for any that is free.
    public init(port: UInt16) throws {
        let descriptor = try Socket.opened()
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var place = try sockaddr_in("127.0.0.1", port: port)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        // SAFETY: the pointer is to `place` and is used within the calls.
        let isListening = withUnsafeMutablePointer(to: &place) { place in
            place.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                bind(descriptor, place, size) == 0 && listen(descriptor, 128) == 0
                    && getsockname(descriptor, place, &size) == 0
            }
        }
        guard isListening else {
            defer { close(descriptor) }
            throw Socket.Failure("listen on port \(port)")
        }
        self.descriptor = descriptor
        self.port = UInt16(bigEndian: place.sin_port)
    }

    deinit { close(descriptor) }

    public func accept() throws -> Socket {
        while true {
            let connection = Glibc.accept(descriptor, nil, nil)
            if connection >= 0 { return Socket(accepted: connection) }
            guard errno == EINTR || errno == ECONNABORTED else { throw Socket.Failure("accept") }
        }
    }
}

extension Socket {
    fileprivate convenience init(accepted descriptor: Int32) { self.init(descriptor) }
}

extension sockaddr_in {
    fileprivate init(_ address: String, port: UInt16) throws {
        self.init()
        sin_family = sa_family_t(AF_INET)
        sin_port = port.bigEndian
        guard inet_pton(AF_INET, address, &sin_addr) == 1 else {
            throw Socket.Failure(reason: "not an IPv4 address: \(address)")
        }
    }
}
