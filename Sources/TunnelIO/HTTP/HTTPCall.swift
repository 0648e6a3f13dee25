internal import TunnelCore
internal import TunnelTLS

/// One request and its answer under one deadline: opens a connection where none is given, sends, reads.
final class HTTPCall {
    private let endpoint: HTTPEndpoint
    private let reactor: Reactor
    /// Nanoseconds from the start of the call.
    private let timeout: UInt64
    private let cancellation = Cancellation()
    private lazy var deadline = Deadline { [unowned self] in expire() }

    private var stage = HTTPClientError.Stage.lookup
    /// Whom the stage is about.
    private var peer: String
    private var connection: ClientConnection?
    private var hasExpired = false
    /// Stays true once it is: a second attempt does not take the first one back.
    private var mayHaveBeenReceived = false

    init(_ endpoint: HTTPEndpoint, timeout: UInt64, on reactor: Reactor) {
        (self.endpoint, self.timeout, self.reactor) = (endpoint, timeout, reactor)
        peer = endpoint.description
        // The loop's clock stands still within a turn, and the caller may have computed for long in this one.
        reactor.set(deadline, after: timeout &+ (Reactor.clock() &- reactor.now))
    }

    /// Takes the deadline away, when the call is over.
    func end() { reactor.remove(deadline) }

    private func expire() {
        hasExpired = true
        if stage == .send, connection?.socket.unsentCount == 0 { mayHaveBeenReceived = true }
        cancellation.cancel()
        connection?.socket.close(IOError(.timedOut, "request"))
    }

    // MARK: Opening

    /// Opens a connection to the endpoint, through its proxy if it has one, and shakes hands.
    func open(_ tls: TLSClientContext?) async throws(HTTPClientError) -> ClientConnection {
        let proxy = endpoint.proxy
        let connection = try await dial(proxy?.host ?? endpoint.host, proxy?.port ?? endpoint.port)
        self.connection = connection
        if let proxy { try await openTunnel(through: proxy, connection) }
        guard endpoint.isSecure else { return connection }
        (stage, peer) = (.handshake, endpoint.description)
        guard let tls else {
            connection.close()
            throw failure(.tls, "no trust anchors were given")
        }
        do throws(IOError) {
            try await connection.startTLS(
                tls, serverName: endpoint.host, timeout: beyondDeadline, cancellation: cancellation)
        } catch {
            connection.close()
            throw failure(.tls, error)
        }
        return connection
    }

    /// For steps that want a time-out of their own. The call's deadline comes before it, so that what is reported as a
    /// time-out by such a step is another cause.
    private var beyondDeadline: UInt64 { timeout &+ 60_000_000_000 }

    private func dial(_ host: String, _ port: UInt16) async throws(HTTPClientError) -> ClientConnection {
        let isProxy = endpoint.proxy != nil
        (stage, peer) = (.lookup, isProxy ? "the proxy \(host)" : host)
        var addresses: [IPAddress]
        do throws(IOError) {
            addresses = try await reactor.resolver.resolve(
                host, timeout: beyondDeadline, ttl: 0, cancellation: cancellation)
        } catch {
            let code: HTTPClientError.Code = isProxy ? .proxy : .nameNotFound
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
        through proxy: HTTPEndpoint.Proxy, _ connection: ClientConnection
    ) async throws(HTTPClientError) {
        (stage, peer) = (.proxy, "the proxy \(proxy)")
        var request = "CONNECT \(endpoint) HTTP/1.1\r\nHost: \(endpoint)\r\n"
        if let authorization = proxy.authorization {
            request += "Proxy-Authorization: \(authorization.reveal())\r\n"
        }
        var bytes = ByteBuffer()
        bytes.append(request + "\r\n")
        var reader = AnswerReader(connection)
        let status: Int
        do throws(AnswerReader.Failure) {
            do throws(IOError) { try await send(&bytes, on: connection) } catch { throw .io(error) }
            status = try await reader.readHead(.connect).status
        } catch {
            connection.close()
            throw failure(error, otherwise: .proxy)
        }
        guard (200..<300).contains(status) else {
            connection.close()
            let hint =
                switch (status, proxy.authorization) {
                case (407, nil): ": it wants a user name and password"
                case (407, _): ": it does not take this user name and password"
                default: ""
                }
            throw failure(.proxy, "refused to connect to \(endpoint) with status \(status)\(hint)")
        }
        // In TLS the client speaks first: what has come already is not from the endpoint.
        guard reader.isDrained else {
            connection.close()
            throw failure(.proxy, "sent more than the answer to CONNECT")
        }
    }

    // MARK: The exchange

    enum Outcome {
        /// `keeps`: the connection is ready for another request.
        case answer(IncomingAnswer, keeps: Bool)
        /// The connection had ended before any byte of an answer came.
        case wasDead
    }

    /// Sends the request and reads its answer. Unless the connection is to be kept, it is closed.
    func exchange(
        _ bytes: inout ByteBuffer, _ method: Method, on connection: ClientConnection, maxBodyBytes: Int
    ) async throws(HTTPClientError) -> Outcome {
        self.connection = connection
        defer { self.connection = nil }
        (stage, peer) = (.send, endpoint.description)
        var writeFailure: IOError?
        do throws(IOError) {
            try await send(&bytes, on: connection)
            mayHaveBeenReceived = true
        } catch { writeFailure = error }
        // A server may answer and close before it has read all (RFC 9112 §9.6): the answer is looked for all the same.
        if writeFailure == nil { stage = .answer }
        var reader = AnswerReader(connection)
        do throws(AnswerReader.Failure) {
            let (status, isPersistent) = try await reader.readHead(method)
            stage = .answer
            let body = try await reader.readBody(limit: maxBodyBytes)
            let keeps = isPersistent && reader.isDrained && writeFailure == nil
            if !keeps { connection.close() }
            return .answer(IncomingAnswer(status: status, fields: reader.fields, body: body), keeps: keeps)
        } catch {
            connection.close()
            if !reader.hasBegun, !hasExpired { return try dead(connection, writeFailure, error) }
            throw failure(error, otherwise: .closed)
        }
    }

    private func dead(
        _ connection: ClientConnection, _ writeFailure: IOError?, _ error: AnswerReader.Failure
    ) throws(HTTPClientError) -> Outcome {
        if connection.exchanges > 0 { return .wasDead }
        if let writeFailure { throw failure(.closed, writeFailure) }
        throw failure(error, otherwise: .closed)
    }

    private func send(_ bytes: inout ByteBuffer, on connection: ClientConnection) async throws(IOError) {
        _ = bytes.withMutableBytes { connection.send(UnsafeRawBufferPointer($0)) }
        if stage == .send, connection.socket.unsentCount == 0 { mayHaveBeenReceived = true }
        try await connection.flush()
    }

    // MARK: Failure

    private func failure(_ code: HTTPClientError.Code, _ problem: String) -> HTTPClientError {
        HTTPClientError(code, stage, peer, problem, mayHaveBeenReceived: mayHaveBeenReceived)
    }

    private func failure(_ code: HTTPClientError.Code, _ error: IOError) -> HTTPClientError {
        if hasExpired { return failure(.timedOut, "timed out after \(Duration.nanoseconds(Int64(clamping: timeout)))") }
        return failure(error.code == .tls ? .tls : code, error.reason)
    }

    private func failure(_ error: AnswerReader.Failure, otherwise code: HTTPClientError.Code) -> HTTPClientError {
        switch error {
        case .io(let error): failure(code, error)
        case .ended: failure(code, "the connection ended before the answer did")
        case .malformed(let rule): failure(stage == .proxy ? .proxy : .malformed, rule)
        case .tooLarge(let limit): failure(.tooLarge, "the body is over \(limit) bytes")
        }
    }
}
