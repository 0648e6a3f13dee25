internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// One attempt to bring a batch to the collector, within its time.
final class OTLPCall {
    enum Outcome: Equatable {
        case taken
        /// It will not take this batch, now or later.
        case refused(status: Int)
        /// It may take it later; `after` nanoseconds, where it says so.
        case later(reason: String, after: UInt64?)
    }

    private let endpoint: OTLPEndpoint
    private let tls: TLSClientContext?
    private let timeout: UInt64
    private let reactor: Reactor
    private let cancellation = Cancellation()
    private lazy var deadline = Deadline(on: reactor) { [unowned self] in cancel() }
    private var connection: ClientConnection?
    /// Any byte of a response has come on the connection in use.
    private var hasBegun = false
    private var isCancelled = false

    /// Of a response nothing but its status matters; what comes with it is short.
    private static let maxResponse = 65_536
    /// A collector that asks for more patience gets this much.
    private static let longestWait: UInt64 = 300_000_000_000

    /// - Parameter tls: for an `https` endpoint.
    init(_ endpoint: OTLPEndpoint, _ tls: TLSClientContext?, timeout: UInt64, on reactor: Reactor) {
        (self.endpoint, self.tls, self.timeout, self.reactor) = (endpoint, tls, timeout, reactor)
    }

    /// Gives up: each wait ends.
    func cancel() {
        isCancelled = true
        cancellation.cancel()
        connection?.close(IOError(.timedOut, "trace export"))
    }

    /// - Parameter kept: a connection of an earlier call, and then one for the next, if it can be used again.
    func run(_ body: [UInt8], keeping kept: inout ClientConnection?) async -> Outcome {
        deadline.set(after: timeout)
        defer {
            deadline.cancel()
            connection = nil
        }
        do throws(IOError) {
            if let old = kept.take() {
                if old.ended == nil, !old.hasInput {
                    do throws(IOError) { return try await exchange(body, on: old, keeping: &kept) } catch {
                        // It was dead already: the batch has not been looked at.
                        guard !hasBegun, !isCancelled else { throw error }
                        old.close()
                    }
                } else {
                    old.close()
                }
            }
            return try await exchange(body, on: open(), keeping: &kept)
        } catch {
            connection?.close()
            return .later(reason: isCancelled ? "no response in time" : error.description, after: nil)
        }
    }

    private func open() async throws(IOError) -> ClientConnection {
        let addresses = try await reactor.resolver.resolve(
            endpoint.host, timeout: timeout, ttl: 0, cancellation: cancellation)
        let (socket, address): (Socket, SocketAddress)
        do throws(DialError) {
            (socket, address) = try await Connector.connect(
                to: Connector.alternating(addresses).map { .ip($0, port: endpoint.port) }, timeout: timeout,
                cancellation: cancellation, on: reactor)
        } catch { throw error.error }
        let connection = ClientConnection(socket, address, on: reactor)
        self.connection = connection
        // In the turn in which the time passed, there was no connection to close.
        if isCancelled { throw IOError(.timedOut, "connect") }
        if let tls {
            try await connection.startTLS(
                tls, serverName: endpoint.host, timeout: timeout, cancellation: cancellation)
        }
        return connection
    }

    private func exchange(
        _ body: [UInt8], on connection: ClientConnection, keeping kept: inout ClientConnection?
    ) async throws(IOError) -> Outcome {
        self.connection = connection
        hasBegun = false
        var request = ByteBuffer(capacity: body.count + 1_024)
        endpoint.appendHead(count: body.count, to: &request)
        request.append(body)
        _ = connection.send(&request)
        request.release()
        // A collector may say no before it has read all (RFC 9112 §9.6): its response is looked for all the same.
        var reader = ResponseReader(.post)
        do throws(ResponseReader.Failure) {
            while try !reader.takeHead() {
                guard await receive(&reader, from: connection) else { throw .ended }
            }
            while try !reader.takeBody(limit: Self.maxResponse) {
                if await receive(&reader, from: connection) { continue }
                try reader.endOfInput()
                break
            }
        } catch { throw IOError(hasBegun ? .closed : .endOfStream, "trace export", detail: Self.words(error)) }
        if reader.isPersistent && reader.isDrained && connection.socket.hasSentAll && connection.ended == nil {
            kept = connection
        } else {
            connection.close()
        }
        return verdict(reader)
    }

    /// - Returns: whether anything came.
    private func receive(_ reader: inout ResponseReader, from connection: ClientConnection) async -> Bool {
        while true {
            do throws(IOError) {
                switch try connection.receive(into: &reader.buffer, limit: ResponseReader.bufferLimit) {
                case .bytes:
                    hasBegun = true
                    return true
                case .end: return false
                case .nothing: await connection.readable()
                }
            } catch { return false }
        }
    }

    private static func words(_ failure: ResponseReader.Failure) -> String {
        switch failure {
        case .ended: "the connection ended before the response did"
        case .malformed(let rule): rule
        case .tooLarge(let limit): "a response over \(limit) bytes"
        }
    }

    /// OTLP 1.x, "Failures": these four are worth another attempt, no other.
    private func verdict(_ reader: borrowing ResponseReader) -> Outcome {
        switch reader.status {
        case 200..<300: return .taken
        case 429, 502, 503, 504:
            let text = reader.fields.first { $0.name.lowercased() == "retry-after" }?.value
            let wait = text.flatMap { OTLPCall.wait($0, now: SystemClock.now()) }
            return .later(reason: "status \(reader.status)", after: wait)
        default: return .refused(status: reader.status)
        }
    }

    /// `Retry-After` (RFC 9110 §10.2.3): seconds, or a moment.
    ///
    /// - Returns: nanoseconds, bounded; `nil` for what is neither.
    static func wait(_ text: String, now: UnixTime) -> UInt64? {
        let seconds: Int64
        if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            seconds = Int64(text) ?? .max
        } else {
            guard let moment = UnixTime(httpDate: text, now: now) else { return nil }
            let (difference, isOverflow) = moment.seconds.subtractingReportingOverflow(now.seconds)
            seconds = isOverflow ? 0 : max(0, difference)
        }
        return min(UInt64(clamping: seconds), longestWait / 1_000_000_000) * 1_000_000_000
    }
}
