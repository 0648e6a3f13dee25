internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// Where a request's connection leads: a host and port, in TLS or plain, directly or through a proxy.
struct HTTPEndpoint: Sendable, Equatable, CustomStringConvertible {
    /// In TLS. Plain requests go to this machine only, whatever the name leads to, for they carry secrets.
    let isSecure: Bool
    /// A name or an address, an IPv6 address without brackets.
    let host: String
    let port: UInt16
    let proxy: HTTPProxy?

    init(isSecure: Bool, host: String, port: UInt16, proxy: HTTPProxy? = nil) {
        (self.isSecure, self.host, self.port) = (isSecure, host, port)
        // A plain one is on this machine.
        self.proxy = isSecure ? proxy : nil
    }

    init(_ service: ServiceURL, proxy: HTTPProxy? = nil) {
        self.init(isSecure: service.isSecure, host: service.host, port: service.port, proxy: proxy)
    }

    /// Host and port, as CONNECT has them.
    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// One request and its response under one deadline: opens a connection where none is given, sends, reads.
final class HTTPCall {
    private let endpoint: HTTPEndpoint
    private let reactor: Reactor
    /// Nanoseconds from the start of the call.
    private let timeout: UInt64
    private let cancellation = Cancellation()
    private lazy var deadline = Deadline(on: reactor) { [unowned self] in expire() }

    private var stage = TransportError.Stage.lookup
    /// Whom the stage is about.
    private var peer: String
    private var link: HTTPLink?
    private var hasExpired = false
    /// Any byte of a response has come on the connection in use.
    private var hasBegun = false
    /// Stays true once it is: a second attempt does not take the first one back.
    private var mayHaveBeenReceived = false

    init(_ endpoint: HTTPEndpoint, timeout: UInt64, on reactor: Reactor) {
        (self.endpoint, self.timeout, self.reactor) = (endpoint, timeout, reactor)
        peer = endpoint.description
        // The loop's clock stands still within a turn, and the caller may have computed for long in this one.
        deadline.set(after: timeout &+ (Reactor.clock() &- reactor.now))
    }

    /// Takes the deadline away, when the call is over.
    func end() { deadline.cancel() }

    private func expire() {
        hasExpired = true
        let socket = link?.connection.socket
        if stage == .send, let socket, socket.hasSentAll { mayHaveBeenReceived = true }
        cancellation.cancel()
        socket?.close(IOError(.timedOut, "request"))
    }

    // MARK: Opening

    /// Opens a connection to the endpoint, through its proxy if it has one, and shakes hands.
    ///
    /// - Parameters:
    ///   - tls: for secure endpoints.
    ///   - proxyTLS: for proxies that are reached in TLS.
    func open(_ tls: TLSClientContext?, proxyTLS: TLSClientContext?) async throws(TransportError) -> HTTPLink {
        let proxy = endpoint.proxy
        let connection = try await dial(proxy?.host ?? endpoint.host, proxy?.port ?? endpoint.port)
        let link = HTTPLink(connection)
        self.link = link
        do throws(TransportError) {
            guard let proxy else {
                if endpoint.isSecure { try await shakeHands(connection, tls) }
                return link
            }
            if proxy.isSecure { try await shakeHands(with: proxy, connection, proxyTLS) }
            try await openTunnel(through: proxy, connection)
            guard proxy.isSecure else {
                try await shakeHands(connection, tls)
                return link
            }
            return try await shakeHands(inside: link, tls)
        } catch {
            self.link?.close()
            throw error
        }
    }

    private func shakeHands(
        _ connection: ClientConnection, _ tls: TLSClientContext?
    ) async throws(TransportError) {
        (stage, peer) = (.handshake, endpoint.description)
        guard let tls else { throw failure(.tls, "no trust anchors were given") }
        do throws(IOError) {
            try await connection.startTLS(
                tls, serverName: endpoint.host, timeout: beyondDeadline, cancellation: cancellation)
        } catch { throw failure(.tls, error) }
    }

    private func shakeHands(
        with proxy: HTTPProxy, _ connection: ClientConnection, _ tls: TLSClientContext?
    ) async throws(TransportError) {
        (stage, peer) = (.proxyHandshake, proxy.authority)
        guard let tls else { throw failure(.tls, "no trust anchors were given") }
        do throws(IOError) {
            try await connection.startTLS(
                tls, serverName: proxy.host, timeout: beyondDeadline, cancellation: cancellation)
        } catch { throw failure(.proxy, error) }
    }

    /// With the endpoint, through the tunnel that the proxy has opened inside its own TLS.
    private func shakeHands(
        inside link: HTTPLink, _ tls: TLSClientContext?
    ) async throws(TransportError) -> HTTPLink {
        (stage, peer) = (.handshake, endpoint.description)
        guard let tls else { throw failure(.tls, "no trust anchors were given") }
        do throws(IOError) {
            let inner = try TLSByteStream(over: link.connection, client: tls, serverName: endpoint.host)
            var link = link
            link.inner = inner
            self.link = link
            // The deadline closes the connection, which ends this too.
            try await inner.shakeHands(timeout: beyondDeadline, on: reactor)
            return link
        } catch { throw failure(.tls, error) }
    }

    /// For steps that want a time-out of their own. The call's deadline comes before it, so that what is reported as a
    /// time-out by such a step is another cause.
    private var beyondDeadline: UInt64 { timeout &+ 60_000_000_000 }

    private func dial(_ host: String, _ port: UInt16) async throws(TransportError) -> ClientConnection {
        let isProxy = endpoint.proxy != nil
        (stage, peer) = (.lookup, isProxy ? "the proxy \(host)" : host)
        var addresses: [IPAddress]
        do throws(IOError) {
            addresses = try await reactor.resolver.resolve(
                host, timeout: beyondDeadline, ttl: 0, cancellation: cancellation)
        } catch {
            let code: TransportError.Code = isProxy ? .proxy : .nameNotFound
            guard error.code == .timedOut, !hasExpired else { throw failure(code, error) }
            throw failure(code, "the name server did not answer")
        }
        (stage, peer) = (.connect, isProxy ? "the proxy \(host):\(port)" : endpoint.description)
        if !endpoint.isSecure {
            addresses.removeAll { !$0.isLoopback }
            guard !addresses.isEmpty else {
                throw failure(.connect, "not an address of this machine, which secrets do not leave in plain")
            }
        }
        do throws(DialError) {
            let (socket, address) = try await Connector.connect(
                to: Connector.alternating(addresses).map { .ip($0, port: port) }, timeout: beyondDeadline,
                cancellation: cancellation, on: reactor)
            // In the turn in which the deadline passed, which has found no connection to close.
            guard !hasExpired else {
                socket.close()
                throw DialError(address: address, error: IOError(.timedOut, "connect"))
            }
            return ClientConnection(socket, address, on: reactor)
        } catch { throw failure(isProxy ? .proxy : .connect, error.error) }
    }

    /// RFC 9110 §9.3.6. After a 2xx the connection is one to the endpoint.
    private func openTunnel(
        through proxy: HTTPProxy, _ connection: ClientConnection
    ) async throws(TransportError) {
        (stage, peer) = (.proxy, "the proxy \(proxy.authority)")
        var request = "CONNECT \(endpoint) HTTP/1.1\r\nHost: \(endpoint)\r\n"
        if let authorization = proxy.authorization {
            request += "Proxy-Authorization: \(authorization.reveal())\r\n"
        }
        var bytes = ByteBuffer()
        bytes.append(request + "\r\n")
        var reader = ResponseReader(.connect)
        do throws(IOError) { try await send(&bytes, on: HTTPLink(connection)) } catch { throw failure(.proxy, error) }
        try await readHead(&reader, on: connection, otherwise: .proxy)
        let status = reader.status
        guard (200..<300).contains(status) else {
            let hint =
                switch (status, proxy.authorization) {
                case (407, nil): ": it wants a user name and password"
                case (407, _): ": it does not take this user name and password"
                default: ""
                }
            throw failure(.proxy, "refused to connect to \(endpoint) with status \(status)\(hint)")
        }
        // In TLS the client speaks first: what has come already is not from the endpoint.
        guard reader.isDrained else { throw failure(.proxy, "sent more than the response to CONNECT") }
    }

    // MARK: The exchange

    enum Outcome {
        /// `keeps`: the connection is ready for another request.
        case response(HTTPResponse, keeps: Bool)
        /// The connection had ended before any byte of a response came.
        case wasDead
    }

    /// Sends the request and reads its response. Unless the connection is to be kept, it is closed.
    func exchange(
        _ bytes: inout ByteBuffer, _ method: Method, on link: HTTPLink, maxBodyBytes: Int
    ) async throws(TransportError) -> Outcome {
        self.link = link
        defer { self.link = nil }
        (stage, peer) = (.send, endpoint.description)
        hasBegun = false
        var writeFailure: IOError?
        do throws(IOError) {
            try await send(&bytes, on: link)
            mayHaveBeenReceived = true
        } catch { writeFailure = error }
        // A server may answer and close before it has read all (RFC 9112 §9.6): the response is looked for all the same.
        if writeFailure == nil { stage = .response }
        var reader = ResponseReader(method)
        do throws(TransportError) {
            try await readHead(&reader, on: link.stream, otherwise: .closed)
            stage = .response
            try await readBody(&reader, on: link.stream, limit: maxBodyBytes)
        } catch {
            link.close()
            guard !hasBegun, !hasExpired else { throw error }
            if link.connection.exchanges > 0 { return .wasDead }
            if let writeFailure { throw failure(.closed, writeFailure) }
            throw error
        }
        let keeps = reader.isPersistent && reader.isDrained && writeFailure == nil && link.canBeParked
        if !keeps { link.close() }
        let fields = reader.fields.map { HTTPField($0.name, $0.value) }
        return .response(HTTPResponse(status: reader.status, fields: fields, body: reader.body), keeps: keeps)
    }

    private func send(_ bytes: inout ByteBuffer, on link: HTTPLink) async throws(IOError) {
        _ = bytes.withMutableBytes { link.stream.send(UnsafeRawBufferPointer($0)) }
        if stage == .send, link.connection.socket.hasSentAll { mayHaveBeenReceived = true }
        try await link.stream.flush(stall: 0)
    }

    // MARK: Reading

    private func readHead(
        _ reader: inout ResponseReader, on stream: any ByteStream, otherwise code: TransportError.Code
    ) async throws(TransportError) {
        do throws(ReadFailure) {
            while !(try parse { () throws(ResponseReader.Failure) in try reader.takeHead() }) {
                guard try await receive(into: &reader.buffer, from: stream) else {
                    throw .response(.ended)
                }
            }
        } catch { throw failure(error, otherwise: code) }
    }

    private func readBody(
        _ reader: inout ResponseReader, on stream: any ByteStream, limit: Int
    ) async throws(TransportError) {
        do throws(ReadFailure) {
            while !(try parse { () throws(ResponseReader.Failure) in try reader.takeBody(limit: limit) }) {
                if try await receive(into: &reader.buffer, from: stream) { continue }
                return try parse { () throws(ResponseReader.Failure) in try reader.endOfInput() }
            }
        } catch { throw failure(error, otherwise: .closed) }
    }

    private enum ReadFailure: Error {
        case io(IOError)
        case response(ResponseReader.Failure)
    }

    private func parse<Value>(_ body: () throws(ResponseReader.Failure) -> Value) throws(ReadFailure) -> Value {
        do throws(ResponseReader.Failure) { return try body() } catch { throw .response(error) }
    }

    /// Waits for more bytes; `false` at the end of the stream.
    private func receive(
        into buffer: inout ByteBuffer, from stream: any ByteStream
    ) async throws(ReadFailure) -> Bool {
        do throws(IOError) {
            while true {
                switch try stream.receive(into: &buffer, limit: ResponseReader.bufferLimit) {
                case .bytes:
                    hasBegun = true
                    return true
                case .end: return false
                case .nothing: await stream.readable()
                }
            }
        } catch { throw .io(error) }
    }

    // MARK: Failure

    private func failure(_ code: TransportError.Code, _ problem: String) -> TransportError {
        TransportError(code, stage, peer, problem, mayHaveBeenReceived: mayHaveBeenReceived)
    }

    private func failure(_ code: TransportError.Code, _ error: IOError) -> TransportError {
        if hasExpired { return failure(.timedOut, "timed out after \(Duration.nanoseconds(Int64(clamping: timeout)))") }
        if let broken = link?.inner?.carrierFailure, let proxy = endpoint.proxy {
            return failure(.proxy, "the proxy \(proxy.authority) ended the tunnel: \(broken.reason)")
        }
        return failure(error.code == .tls ? .tls : code, error.reason)
    }

    private func failure(_ error: ReadFailure, otherwise code: TransportError.Code) -> TransportError {
        switch error {
        case .io(let error): failure(code, error)
        case .response(.ended): failure(code, "the connection ended before the response did")
        case .response(.malformed(let rule)): failure(stage == .proxy ? .proxy : .malformed, rule)
        case .response(.tooLarge(let limit)): failure(.tooLarge, "the body is over \(limit) bytes")
        }
    }
}
