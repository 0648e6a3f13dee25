import Foundation
import Synchronization
import TunnelCore
import TunnelIO

/// A proxy on 127.0.0.1 that opens one tunnel, to a port of 127.0.0.1 whatever host is asked for, if the credentials
/// are right.
final class ConnectProxy: Sendable {
    let port: UInt16
    private let heads = Mutex<[String]>([])

    /// The heads of the requests it got.
    var requests: [String] { heads.withLock { $0 } }

    init(to target: UInt16, credentials: String) throws {
        let listener = try Listener(.ip(IPAddress(v4: 0x7F00_0001), port: 0), isShared: false)
        guard case .ip(_, let port) = listener.address else { throw CocoaError(.featureUnsupported) }
        self.port = port
        Thread.detachNewThread { [self] in
            var readiness = pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&readiness, 1, 20_000) == 1 else { return }
            let client = accept(listener.descriptor, nil, nil)
            defer { close(client) }
            guard let head = Self.receiveHead(client) else { return }
            heads.withLock { $0.append(head) }
            guard head.contains("\r\nProxy-Authorization: \(credentials)\r\n"), let server = connect(to: target) else {
                return Self.send(Array("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n".utf8), to: client)
            }
            defer { close(server) }
            Self.send(Array("HTTP/1.1 200 OK\r\n\r\n".utf8), to: client)
            Self.relay(client, server)
        }
    }

    private static func receiveHead(_ descriptor: CInt) -> String? {
        var head = ""
        var byte: UInt8 = 0
        while !head.hasSuffix("\r\n\r\n") {
            guard recv(descriptor, &byte, 1, 0) == 1 else { return nil }
            head.unicodeScalars.append(Unicode.Scalar(byte))
        }
        return head
    }

    /// Copies both ways until one side ends.
    private static func relay(_ a: CInt, _ b: CInt) {
        while true {
            var both = [
                pollfd(fd: a, events: Int16(POLLIN), revents: 0), pollfd(fd: b, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&both, 2, 20_000) > 0 else { return }
            for (side, other) in [(0, b), (1, a)] where both[side].revents != 0 {
                var bytes = [UInt8](repeating: 0, count: 65_536)
                let count = recv(both[side].fd, &bytes, bytes.count, 0)
                guard count > 0 else { return }
                send(Array(bytes[..<count]), to: other)
            }
        }
    }

    private static func send(_ bytes: [UInt8], to descriptor: CInt) {
        _ = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
    }
}
