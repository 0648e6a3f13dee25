import Glibc
import Synchronization
import TunnelIO
import TunnelTestSupport

/// A server behind the proxy on 127.0.0.1: blocking, one thread for each connection, told what to do.
final class Upstream: Sendable {
    let port: UInt16
    private let listener: Listener
    private let accepted = Counter()

    /// Connections taken so far.
    var connections: Int { accepted.count.load(ordering: .sequentiallyConsistent) }

    private final class Counter: Sendable {
        let count = Atomic<Int>(0)
    }

    /// - Parameters:
    ///   - address: where it listens.
    ///   - receiveBuffer: bytes that the kernel takes for it, where it is not to take as many as it likes.
    ///   - serve: talks on one connection, which is closed after it; told its number, from 1.
    init(
        at address: SocketAddress = .loopback(0), receiveBuffer: CInt? = nil,
        _ serve: @escaping @Sendable (UpstreamConnection, Int) -> Void
    ) throws {
        let listener = try Listener(address, isShared: false)
        if var size = receiveBuffer {
            // Its connections have what it has.
            setsockopt(listener.descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<CInt>.size))
        }
        (self.listener, port) = (listener, listener.address.port)
        _ = OnThread { [accepted] in
            // The thread holds the listener, so that its number is no other's while it waits there.
            while let peer = listener.next() {
                let number = accepted.count.add(1, ordering: .sequentiallyConsistent).newValue
                _ = OnThread { serve(UpstreamConnection(peer), number) }
            }
        }
    }

    /// One that answers every request alike and keeps its connections.
    static func answering(_ answer: String) throws -> Upstream {
        try Upstream { connection, _ in
            while connection.readRequest() != nil { connection.send(answer) }
        }
    }

    deinit {
        // Ends the wait of the thread, and the port with it.
        shutdown(listener.descriptor, CInt(SHUT_RDWR))
    }
}

extension Listener {
    /// Waits for a connection, however long it takes; `nil` when it was shut down.
    fileprivate func next() -> Peer? {
        var readiness = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&readiness, 1, -1) == 1 else { return nil }
        let accepted = Glibc.accept(descriptor, nil, nil)
        return accepted < 0 ? nil : Peer(accepted)
    }
}

/// The server's end of one connection.
final class UpstreamConnection {
    let peer: Peer
    private var buffer: [UInt8] = []

    init(_ peer: Peer) { self.peer = peer }

    func send(_ text: String) { peer.send(text) }

    /// The next request's head; `nil` at the end.
    func readHead() -> String? {
        while true {
            if let end = find("\r\n\r\n") {
                let head = String(decoding: buffer[..<end], as: UTF8.self)
                buffer.removeFirst(end)
                return head
            }
            guard fill() else { return nil }
        }
    }

    /// Up to `count` bytes of what follows.
    func readBody(_ count: Int) -> String {
        while buffer.count < count, fill() {}
        let body = String(decoding: buffer.prefix(count), as: UTF8.self)
        buffer.removeFirst(min(count, buffer.count))
        return body
    }

    /// Reads until what came ends with `text`.
    func readBody(until text: String) -> String {
        while true {
            if let end = find(text) {
                let body = String(decoding: buffer[..<end], as: UTF8.self)
                buffer.removeFirst(end)
                return body
            }
            guard fill() else { return String(decoding: buffer, as: UTF8.self) }
        }
    }

    /// The next request, head and body.
    func readRequest() -> (head: String, body: String)? {
        guard let head = readHead() else { return nil }
        let lines = head.lowercased().split(separator: "\r\n")
        if let line = lines.first(where: { $0.hasPrefix("content-length: ") }), let count = Int(line.dropFirst(16)) {
            return (head, readBody(count))
        }
        if lines.contains("transfer-encoding: chunked") { return (head, readBody(until: "0\r\n\r\n")) }
        return (head, "")
    }

    /// Ends the connection with a reset.
    func reset() { peer.reset() }

    private func find(_ text: String) -> Int? {
        let needle = Array(text.utf8)
        guard buffer.count >= needle.count else { return nil }
        for start in 0...(buffer.count - needle.count) where buffer[start..<start + needle.count].elementsEqual(needle)
        {
            return start + needle.count
        }
        return nil
    }

    private func fill() -> Bool {
        guard let piece = peer.receive(), !piece.isEmpty else { return false }
        buffer += piece
        return true
    }
}
