import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelProxy

/// `mcp-proxy hello`: ``HelloServer`` as a server of its own, to try a tunnel with.
enum HelloCommand {
    static let listen = CommandFlag("listen", takes: "ADDRESS", "where to listen (default 127.0.0.1:9000)")

    static let command = ProxyCommand(
        path: ["hello"], summary: "serve a sample MCP server with one tool, to try a tunnel with",
        details: "Its URL ends with \(HelloServer.path). SIGTERM and SIGINT let requests under way finish.",
        flags: [listen], example: "mcp-proxy hello -listen 127.0.0.1:9000"
    ) { arguments in
        let address = try ListenAddress(arguments[listen] ?? "127.0.0.1:9000", of: listen)
        Signals.take()
        let (listener, loop) = (try bind(address), try Loop())
        loop.spawn { loop in
            do throws(IOError) { loop.reactor.context = try HelloListener(listener, on: loop.reactor) } catch {
                ProxyProgram.complain("mcp-proxy hello: \(error)")
                return loop.stop()
            }
            ProxyProgram.complain("mcp-proxy hello: listening on \(listener.address), path \(HelloServer.path)")
        }
        Signals.onStop(
            { loop.spawn { loop in (loop.reactor.context as? HelloListener)?.drain { [loop] in loop.stop() } } },
            { loop.stop() })
        loop.run()
        return .done
    }

    private static func bind(_ address: ListenAddress) throws -> Listener {
        switch address {
        case .unix(let path): return try Listener(.unix(path: path), isShared: false)
        case .tcp(let host?, let port):
            guard let ip = IPAddress(host) else { throw UsageError("flag -listen: \(host) is not an IP address") }
            return try Listener(.ip(ip, port: port), isShared: false)
        case .tcp(nil, let port):
            // Both families, where there is IPv6.
            if let both = try? Listener(.ip(IPAddress(v6High: 0, low: 0), port: port), isShared: false) { return both }
            return try Listener(.ip(IPAddress(v4: 0), port: port), isShared: false)
        }
    }
}

/// Serves ``HelloServer`` over HTTP/1.1 on a loop.
final class HelloListener {
    private static let maxConnections = 1000

    let address: SocketAddress
    fileprivate let server = HelloServer()
    fileprivate let reactor: Reactor
    private var acceptor: Acceptor?
    private var connections: [ObjectIdentifier: HelloConnection] = [:]
    private var drained: (() -> Void)?

    init(_ listener: Listener, on reactor: Reactor) throws(IOError) {
        (address, self.reactor) = (listener.address, reactor)
        acceptor = try Acceptor(
            listener, on: reactor, isShared: false, accepted: { [weak self] descriptor, _ in self?.accept(descriptor) },
            failed: { _ in })
    }

    fileprivate var isDraining: Bool { drained != nil }

    /// Accepts no more, lets requests under way finish, and calls `done`.
    func drain(_ done: @escaping () -> Void) {
        acceptor?.stop()
        acceptor = nil
        drained = done
        for connection in connections.values where !connection.isBusy { connection.socket.close() }
        if connections.isEmpty { done() }
    }

    private func accept(_ descriptor: CInt) {
        guard let socket = try? Socket(adopting: descriptor, on: reactor) else { return }
        guard connections.count < Self.maxConnections else { return socket.close() }
        let connection = HelloConnection(socket, self)
        connections[ObjectIdentifier(connection)] = connection
        reactor.spawn(with: connection) { await $0.serve() }
    }

    fileprivate func ended(_ connection: HelloConnection) {
        connections[ObjectIdentifier(connection)] = nil
        if connections.isEmpty { drained?() }
    }
}

/// One connection: requests in turn, each read whole before it is responded to.
private final class HelloConnection {
    /// So that it can be seen that events come one by one.
    private static let pauseBetweenEvents = Duration.milliseconds(150)
    private static let maxBody = 65_536
    /// For a request to come whole, and for its response to be taken.
    private static let patience: UInt64 = 60_000_000_000

    let socket: Socket
    /// From the first byte of a request to the last one of its response.
    private(set) var isBusy = false
    private let listener: HelloListener
    private var received: [UInt8] = []
    private lazy var deadline = Deadline { [weak self] in self?.socket.close(IOError(.timedOut, "request")) }

    init(_ socket: Socket, _ listener: HelloListener) { (self.socket, self.listener) = (socket, listener) }

    func serve() async {
        do {
            var isPersistent = true
            while isPersistent, !listener.isDraining {
                listener.reactor.set(deadline, after: Self.patience)
                guard let (head, request) = try await readRequest() else { break }
                listener.reactor.set(deadline, after: Self.patience)
                isPersistent = head.isPersistent
                try await send(listener.server.respond(to: request), keepsOpen: isPersistent && !listener.isDraining)
                isBusy = false
            }
        } catch let error as HTTPError {
            try? await send(.refused(status: Int(error.status), reason: error.reason), keepsOpen: false)
        } catch {}
        listener.reactor.remove(deadline)
        socket.close()
        listener.ended(self)
    }

    // MARK: Reading

    /// `nil` at the end of the connection.
    private func readRequest() async throws -> (RequestHead, HelloServer.Request)? {
        var (head, size) = (RequestHead(), Int?.none)
        while size == nil {
            isBusy = !received.isEmpty
            let bytes = received
            size = try head.parse(bytes.span)
            if size == nil, !(try await readMore()) { return nil }
        }
        var request = HelloServer.Request(method: String(decoding: received[head.methodRange], as: UTF8.self))
        for field in head.fields {
            let name = String(decoding: received[field.name], as: UTF8.self).lowercased()
            request.fields[name] = String(decoding: received[field.value], as: UTF8.self)
        }
        guard String(decoding: received[head.path], as: UTF8.self) == HelloServer.path else {
            throw HTTPError(status: 404, reason: "the MCP server is at \(HelloServer.path)")
        }
        received.removeFirst(size ?? 0)
        if head.expectsContinue { socket.send(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) }
        var body = BodyDecoder(head.framing)
        while true {
            let (consumed, produced) = try received.withUnsafeMutableBytes { try body.decode(inPlace: $0) }
            request.body += received[..<produced]
            received.removeFirst(consumed)
            guard request.body.count <= Self.maxBody else {
                throw HTTPError(status: 413, reason: "body over \(Self.maxBody) bytes")
            }
            if body.isComplete { return (head, request) }
            guard try await readMore() else { return nil }
        }
    }

    private func readMore() async throws(IOError) -> Bool {
        while true {
            if let count = try socket.receive(into: listener.reactor.scratch) {
                received += listener.reactor.scratch[..<count]
                return count > 0
            }
            await socket.readable()
        }
    }

    // MARK: Writing

    private func send(_ response: HelloServer.Response, keepsOpen: Bool) async throws {
        switch response {
        case .message(let message, let status, let session):
            let fields = session.map { "Mcp-Session-Id: \($0)\r\n" } ?? ""
            try await send(status, "Content-Type: application/json\r\n\(fields)", message, keepsOpen)
        case .empty(let status): try await send(status, "", status == 204 ? nil : "", keepsOpen)
        case .refused(let status, let reason, let allow):
            let fields = allow.map { "Allow: \($0)\r\n" } ?? ""
            try await send(status, "Content-Type: text/plain\r\n\(fields)", "\(reason)\n", keepsOpen)
        case .events(let messages):
            var out = ByteBuffer()
            out.append(Self.head(200, "Content-Type: text/event-stream\r\nCache-Control: no-store\r\n", keepsOpen))
            out.append("Transfer-Encoding: chunked\r\n\r\n")
            for (index, message) in messages.enumerated() {
                if index > 0 { await listener.reactor.loop.pause(Self.pauseBetweenEvents) }
                let event = Array("event: message\ndata: \(message)\n\n".utf8)
                ChunkedCoding.appendChunk(event.span, into: &out)
                if index == messages.count - 1 { ChunkedCoding.appendEnd(into: &out) }
                _ = socket.send(&out)
                try await socket.flush()
            }
        }
    }

    /// - Parameter body: `nil` for a status that has none.
    private func send(_ status: Int, _ fields: String, _ body: String?, _ keepsOpen: Bool) async throws(IOError) {
        let length = body.map { "Content-Length: \($0.utf8.count)\r\n" } ?? ""
        socket.send(Array("\(Self.head(status, fields, keepsOpen))\(length)\r\n\(body ?? "")".utf8))
        try await socket.flush()
    }

    private static func head(_ status: Int, _ fields: String, _ keepsOpen: Bool) -> String {
        "HTTP/1.1 \(status) \r\n\(fields)\(keepsOpen ? "" : "Connection: close\r\n")"
    }
}

extension Socket {
    fileprivate func send(_ bytes: [UInt8]) { _ = bytes.withUnsafeBytes { send($0) } }
}
