import Glibc
import Synchronization
import TunnelIO

/// A server behind the proxy on 127.0.0.1: blocking, one thread for each connection, told what to do.
final class Upstream: Sendable {
    let port: UInt16
    private let listener: CInt
    private let accepted = Counter()
    private let closed = ThreadSignal()

    /// Connections taken so far.
    var connections: Int { accepted.count.load(ordering: .sequentiallyConsistent) }

    private final class Counter: Sendable {
        let count = Atomic<Int>(0)
    }

    /// - Parameter serve: talks on one connection, which is closed after it; told its number, from 1.
    init(_ serve: @escaping @Sendable (UpstreamConnection, Int) -> Void) throws {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0, withLoopback(0, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 64) == 0 else {
            throw TestError("listen")
        }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        port = UInt16(bigEndian: address.sin_port)
        listener = descriptor
        _ = OnThread { [accepted, closed] in
            while true {
                let connection = Glibc.accept(descriptor, nil, nil)
                guard connection >= 0 else { break }
                let number = accepted.count.add(1, ordering: .sequentiallyConsistent).newValue
                _ = OnThread { serve(UpstreamConnection(Peer(connection)), number) }
            }
            // Here and nowhere else: its number may be another's the moment it is closed.
            close(descriptor)
            closed.post()
        }
    }

    /// One that answers every request alike and keeps its connections.
    static func answering(_ answer: String) throws -> Upstream {
        try Upstream { connection, _ in
            while connection.readRequest() != nil { connection.send(answer) }
        }
    }

    deinit {
        // Ends the accept that the thread is in, or the next one.
        shutdown(listener, CInt(SHUT_RDWR))
        _ = closed.wait(seconds: 20)
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
