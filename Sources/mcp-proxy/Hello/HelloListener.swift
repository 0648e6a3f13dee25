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
        let (listener, loop) = (try ListenerSet(address, count: 1).listeners[0], try Loop())
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
        endSubscriptions()
        if connections.isEmpty { done() }
    }

    /// Ends the streams that stay open by themselves, each with its last event.
    func endSubscriptions() {
        for connection in connections.values { connection.endSubscription() }
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
    /// A stream that stays open says at least this often that it is alive.
    private static let pulse: UInt64 = 15_000_000_000

    let socket: Socket
    /// From the first byte of a request to the last one of its response.
    private(set) var isBusy = false
    private let listener: HelloListener
    private var received: [UInt8] = []
    private var isSubscription = false
    private lazy var deadline = Deadline(on: listener.reactor) { [unowned self] in
        socket.close(IOError(.timedOut, "request"))
    }

    init(_ socket: Socket, _ listener: HelloListener) { (self.socket, self.listener) = (socket, listener) }

    func serve() async {
        do {
            var isPersistent = true
            while isPersistent, !listener.isDraining {
                deadline.set(after: Self.patience)
                guard let (head, request) = try await readRequest() else { break }
                deadline.set(after: Self.patience)
                isPersistent = head.isPersistent
                try await send(listener.server.respond(to: request), keepsOpen: isPersistent && !listener.isDraining)
                isBusy = false
            }
        } catch let error as HTTPError {
            try? await send(.refused(Int(error.status), error.reason), keepsOpen: false)
        } catch {}
        deadline.cancel()
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
            let value = String(decoding: received[field.value], as: UTF8.self)
            if request.fields.updateValue(value, forKey: name) != nil { request.repeated.insert(name) }
        }
        guard String(decoding: received[head.path], as: UTF8.self) == HelloServer.path else {
            throw HTTPError(status: 404, reason: "the MCP server is at \(HelloServer.path)")
        }
        received.removeFirst(size ?? 0)
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

    private func send(_ response: HelloServer.Response, keepsOpen: Bool) async throws(IOError) {
        var out = ByteBuffer()
        out.append("HTTP/1.1 \(response.status) \r\nCache-Control: no-store\r\n")
        for (name, value) in [
            ("Content-Type", response.messages.isEmpty ? nil : response.type), ("Mcp-Session-Id", response.session),
            ("Allow", response.allow), ("Connection", keepsOpen ? nil : "close"),
            // Proxies that hold streams back are told not to.
            ("X-Accel-Buffering", response.last == nil ? nil : "no"),
        ] {
            if let value { out.append("\(name): \(value)\r\n") }
        }
        guard response.isStream else {
            let body = response.messages.joined()
            if response.status != 204 { out.append("Content-Length: \(body.utf8.count)\r\n") }
            out.append("\r\n\(body)")
            return try await send(&out)
        }
        out.append("Transfer-Encoding: chunked\r\n\r\n")
        for (index, message) in response.messages.enumerated() {
            if index > 0 { await listener.reactor.loop.pause(Self.pauseBetweenEvents) }
            Self.append("event: message\ndata: \(message)\n\n", to: &out)
            if index < response.messages.count - 1 { try await send(&out) }
        }
        if let last = response.last {
            try await send(&out)
            try await waitForEnd()
            Self.append("event: message\ndata: \(last)\n\n", to: &out)
        }
        ChunkedCoding.appendEnd(into: &out)
        try await send(&out)
    }

    private static func append(_ event: String, to out: inout ByteBuffer) {
        ChunkedCoding.appendChunk(Array(event.utf8).span, into: &out)
    }

    /// Waits until the server ends its subscriptions, with a comment now and then.
    ///
    /// - Throws: when the client has ended the connection, which is how it cancels.
    private func waitForEnd() async throws(IOError) {
        isSubscription = true
        defer { isSubscription = false }
        deadline.cancel()
        let pulse = Deadline(on: listener.reactor) { [unowned self] in socket.wake() }
        pulse.set(after: Self.pulse)
        while isSubscription && !listener.isDraining {
            if let count = try socket.receive(into: listener.reactor.scratch) {
                // A request that comes early waits for its turn, within the bounds of one.
                received += listener.reactor.scratch[..<count]
                guard count > 0, received.count <= Self.maxBody else { throw IOError(.endOfStream, "read") }
                continue
            }
            await socket.readable()
            if !pulse.isSet {
                var comment = ByteBuffer()
                Self.append(":\n\n", to: &comment)
                try await send(&comment)
                pulse.set(after: Self.pulse)
            }
        }
        deadline.set(after: Self.patience)
    }

    func endSubscription() {
        guard isSubscription else { return }
        isSubscription = false
        socket.wake()
    }

    private func send(_ bytes: inout ByteBuffer) async throws(IOError) {
        if socket.send(&bytes) == .full { try await socket.flush(stall: Self.patience) }
        if let failure = socket.writeFailure { throw failure }
    }
}
