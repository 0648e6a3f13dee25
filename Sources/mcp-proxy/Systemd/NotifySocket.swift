import Glibc
import TunnelIO

/// The way to tell the service manager something, by sd_notify(3): each message is one datagram to the socket that
/// `NOTIFY_SOCKET` names, at a path, or in the abstract namespace where the name begins with `@`.
final class NotifySocket: Sendable {
    private let descriptor: CInt
    private let name: String
    /// For a manager that takes nothing for the moment: nobody is waited for without an end.
    private static let patience = 5

    /// - Throws: a complaint where the name is none, or there is no socket to be had.
    init(_ name: String) throws(ManagerEnvironment.Complaint) {
        let room = MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        // The terminating zero of a path belongs to it; an abstract name has its zero in front.
        guard let mark = name.utf8.first, mark == UInt8(ascii: "/") || mark == UInt8(ascii: "@"),
            name.utf8.count > 1, name.utf8.count <= (mark == UInt8(ascii: "/") ? room - 1 : room)
        else {
            throw ManagerEnvironment.Complaint("NOTIFY_SOCKET: \(name) is neither an absolute path nor an @name")
        }
        descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            throw ManagerEnvironment.Complaint("NOTIFY_SOCKET: socket: \(IOError.text(of: errno))")
        }
        self.name = name
        var time = timeval(tv_sec: NotifySocket.patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Sends assignments, a line each, in one datagram. From any thread.
    ///
    /// - Returns: why it could not be sent; `nil` where it was. The name is looked up each time, as a manager that starts
    ///   itself anew may have made another socket.
    func send(_ assignments: [String]) -> String? {
        let message = Array(assignments.joined(separator: "\n").utf8)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(name.utf8)
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        // Without the zeros behind it, which would belong to an abstract name.
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let sent = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, message, message.count, CInt(MSG_NOSIGNAL), $0, length)
            }
        }
        return sent == message.count ? nil : IOError.text(of: errno)
    }
}
