package import Glibc
package import TunnelCore

/// Where a stream socket listens, connects or came from.
package enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
    case ip(IPAddress, port: UInt16)
    case unix(path: String)

    /// `10.0.0.5:9000`, `[fd00::1]:9000` or `unix:/run/proxy.sock`.
    package var description: String {
        switch self {
        case .ip(let address, let port): address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// `AF_INET`, `AF_INET6` or `AF_UNIX`.
    package var family: CInt {
        switch self {
        case .ip(let address, _): address.isIPv4 ? AF_INET : AF_INET6
        case .unix: AF_UNIX
        }
    }

    /// Reads what the kernel filled in.
    init?(_ storage: sockaddr_storage) {
        var storage = storage
        switch CInt(storage.ss_family) {
        case AF_INET:
            let v4 = withUnsafeBytes(of: &storage) { $0.loadUnaligned(as: sockaddr_in.self) }
            self = .ip(IPAddress(v4: UInt32(bigEndian: v4.sin_addr.s_addr)), port: UInt16(bigEndian: v4.sin_port))
        case AF_INET6:
            let v6 = withUnsafeBytes(of: &storage) { $0.loadUnaligned(as: sockaddr_in6.self) }
            let (high, low) = withUnsafeBytes(of: v6.sin6_addr) {
                (
                    UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)),
                    UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                )
            }
            self = .ip(IPAddress(v6High: high, low: low), port: UInt16(bigEndian: v6.sin6_port))
        case AF_UNIX: self = .unix(path: "")
        default: return nil
        }
    }

    /// Reads what getsockname(2) filled in, with the path of a Unix socket; `@name` is one that is abstract (unix(7)).
    init?(_ storage: sockaddr_storage, length: socklen_t) {
        guard CInt(storage.ss_family) == AF_UNIX else {
            self.init(storage)
            return
        }
        let path = withUnsafeBytes(of: storage) { bytes in
            Array(bytes[min(MemoryLayout<sa_family_t>.size, Int(length))..<min(bytes.count, Int(length))])
        }
        if path.first == 0 {
            self = .unix(path: "@" + String(decoding: path.dropFirst(), as: UTF8.self))
        } else {
            self = .unix(path: String(decoding: path.prefix { $0 != 0 }, as: UTF8.self))
        }
    }

    /// The addresses of this host's interfaces.
    package static func interfaceAddresses() -> [IPAddress] { interfaces().map(\.address) }

    /// The same with the names of the interfaces.
    package static func interfaces() -> [(name: String, address: IPAddress)] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: [(name: String, address: IPAddress)] = []
        var next = list
        while let entry = next {
            if case .ip(let ip, _) = SocketAddress(copying: entry.pointee.ifa_addr) {
                found.append((String(cString: entry.pointee.ifa_name), ip))
            }
            next = entry.pointee.ifa_next
        }
        return found
    }

    /// Reads an address that the C library owns.
    init?(copying address: UnsafePointer<sockaddr>?) {
        guard let address else { return nil }
        var storage = sockaddr_storage()
        let size =
            switch CInt(address.pointee.sa_family) {
            case AF_INET: MemoryLayout<sockaddr_in>.size
            case AF_INET6: MemoryLayout<sockaddr_in6>.size
            default: 0
            }
        memcpy(&storage, address, size)
        self.init(storage)
    }

    /// Lends the address in the kernel's form.
    ///
    /// - Returns: `nil`, without calling `body`, for a Unix path that is longer than the kernel takes (107 bytes).
    package func withSockaddr<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R? {
        switch self {
        case .ip(let address, let port):
            if let bits = address.v4 {
                var v4 = sockaddr_in()
                v4.sin_family = sa_family_t(AF_INET)
                v4.sin_port = port.bigEndian
                v4.sin_addr.s_addr = bits.bigEndian
                return SocketAddress.lend(&v4, body)
            }
            var v6 = sockaddr_in6()
            v6.sin6_family = sa_family_t(AF_INET6)
            v6.sin6_port = port.bigEndian
            let (high, low) = address.v6 ?? (0, 0)
            withUnsafeMutableBytes(of: &v6.sin6_addr) {
                $0.storeBytes(of: high.bigEndian, as: UInt64.self)
                $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            return SocketAddress.lend(&v6, body)
        case .unix(let path):
            var unix = sockaddr_un()
            unix.sun_family = sa_family_t(AF_UNIX)
            let bytes = Array(path.utf8)
            let isFitting = withUnsafeMutableBytes(of: &unix.sun_path) { room in
                guard bytes.count < room.count else { return false }
                room.copyBytes(from: bytes)
                return true
            }
            return isFitting ? SocketAddress.lend(&unix, body) : nil
        }
    }

    private static func lend<T, R>(_ value: inout T, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        withUnsafePointer(to: &value) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<T>.size)) }
        }
    }
}

extension SocketAddress {
    /// Where a listener at this address is reached from its own host: at a wildcard, by loopback.
    package var fromThisHost: SocketAddress {
        guard case .ip(let ip, let port) = self, ip.isUnspecified else { return self }
        return .ip(ip.isIPv4 ? IPAddress(v4Bytes: 127, 0, 0, 1) : IPAddress(v6High: 0, low: 1), port: port)
    }
}
