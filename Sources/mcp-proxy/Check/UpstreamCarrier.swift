import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelProxy

/// Time for the steps of one route: each has its own limit, and all together another, so that no route holds the report up.
struct StepTimes {
    let step: Duration
    private let end: UInt64
    private let reactor: Reactor

    init(step: Duration, on reactor: Reactor) {
        (self.step, self.reactor) = (step, reactor)
        end = reactor.now &+ Self.nanoseconds(step) * 4
    }

    /// Nanoseconds that the next step may take; never zero, which would be no limit.
    var next: UInt64 {
        let left = end > reactor.now ? end &- reactor.now : 0
        return max(1_000_000, min(Self.nanoseconds(step), left))
    }

    static func nanoseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(clamping: seconds) &* 1_000_000_000 &+ UInt64(clamping: attoseconds / 1_000_000_000)
    }
}

/// Carries requests to one upstream as the proxy would: to an address that the policy has allowed, with the Host and the
/// forwarded fields that the proxy sends.
final class UpstreamCarrier: MCPCarrier {
    private let review: ConfigurationReview
    private let route: Route
    private let times: StepTimes
    private let reactor: Reactor
    /// The addresses that may be dialled.
    private let addresses: [SocketAddress]
    private var kept: ClientConnection?
    /// Seconds since 1970 by the upstream's clock, and by ours at that moment.
    private(set) var date: (theirs: Int64, ours: Int64)?

    init(
        _ review: ConfigurationReview, _ route: Route, _ addresses: [SocketAddress], times: StepTimes,
        on reactor: Reactor
    ) {
        (self.review, self.route, self.addresses) = (review, route, addresses)
        (self.times, self.reactor) = (times, reactor)
    }

    deinit { kept?.close() }

    // MARK: Connections

    /// Takes a connection that is ready for a request.
    func adopt(_ connection: ClientConnection) { kept = connection }

    /// One to the first of `addresses` that accepts; without TLS.
    static func dial(
        _ addresses: [SocketAddress], within time: UInt64, on reactor: Reactor
    ) async throws -> ClientConnection {
        do throws(DialError) {
            let (socket, address) = try await Connector.connect(to: addresses, timeout: time, on: reactor)
            return ClientConnection(socket, address, on: reactor)
        } catch { throw UpstreamFailure(dial: error) }
    }

    private func open() async throws -> ClientConnection {
        let connection = try await Self.dial(addresses, within: times.next, on: reactor)
        guard let tls = review.tls(of: route) else { return connection }
        do throws(IOError) {
            try await connection.startTLS(
                tls.context, serverName: tls.name, offering: review.offeredProtocols, timeout: times.next)
            if let refusal = review.pinRefusal(connection.peerCertificate, of: route) {
                throw IOError(.tls, "handshake", detail: refusal)
            }
        } catch {
            connection.close()
            throw UpstreamFailure(tls: error, to: connection.address)
        }
        return connection
    }

    // MARK: Requests

    func send(_ request: MCPRequest) async throws -> MCPResponse {
        if let connection = kept {
            kept = nil
            do { return try await send(request, on: connection) } catch let failure as UpstreamFailure {
                connection.close()
                // The server may have ended a connection that was idle.
                guard failure.fault == .closed || failure.fault == .reset, connection.exchanges > 1 else {
                    throw failure
                }
            }
        }
        let connection = try await open()
        do { return try await send(request, on: connection) } catch {
            connection.close()
            throw error
        }
    }

    private func send(_ request: MCPRequest, on connection: ClientConnection) async throws -> MCPResponse {
        connection.exchanges += 1
        let method: Method =
            switch request.method {
            case "GET": .get
            case "DELETE": .delete
            default: .post
            }
        let isHTTP2 = route.upstream.scheme == .h2c || connection.applicationProtocol == "h2"
        let response: OwnRequest.Response
        do throws(OwnRequest.Failure) {
            response = try await OwnRequest.send(
                head(request) + review.setLines(of: route) + Array("\r\n".utf8) + request.body, method, on: connection,
                isHTTP2: isHTTP2,
                timeout: times.next, limit: MCPResponse.maxBody, reactor: reactor,
                isEnough: request.reads.isEnough)
        } catch { throw UpstreamFailure(error, to: connection.address, isHTTP2: isHTTP2, within: times.step) }
        if response.isReusable { kept = connection } else { connection.close() }
        if let fault = UpstreamFailure.hidden(in: response) {
            throw UpstreamFailure(fault, "\(connection.address): 400 \(Diagnostic.excerpt(request.path))")
        }
        let result = MCPResponse(status: response.status, fields: response.fields, body: response.body)
        if let theirs = result["date"].flatMap(HTTPDate.seconds) { date = (theirs, SystemClock.now().seconds) }
        return result
    }

    private func head(_ request: MCPRequest) -> [UInt8] {
        var head = "\(request.method) \(request.path) HTTP/1.1\r\nHost: \(review.hostField(of: route))\r\n"
        let own = [("User-Agent", "mcp-proxy/\(PackageVersion.current) (check)")]
        let set = Set(review.options(of: route).setHeaders.map { $0.name.lowercased() })
        for (name, value) in own + review.forwardedFields(of: route) + request.fields
        where !set.contains(name.lowercased()) {
            head += "\(name): \(value)\r\n"
        }
        if !request.body.isEmpty { head += "Content-Length: \(request.body.count)\r\n" }
        return Array(head.utf8)
    }
}
