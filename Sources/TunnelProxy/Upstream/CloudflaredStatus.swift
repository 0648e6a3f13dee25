package import TunnelCore
package import TunnelIO

/// What cloudflared says of itself on its metrics port: `GET /ready` gives its connections to the edge.
package struct CloudflaredStatus: Sendable, Equatable {
    /// Connections to the edge; four are usual.
    package let readyConnections: Int
    /// Names this cloudflared among others of the same tunnel.
    package let connectorID: String?

    package var isReady: Bool { readyConnections > 0 }

    package enum Failure: Error, Sendable, Equatable, CustomStringConvertible {
        /// No connection or no response, and why.
        case unreachable(String)
        /// A response that is not cloudflared's.
        case notUnderstood(String)

        package var description: String {
            switch self {
            case .unreachable(let reason), .notUnderstood(let reason): reason
            }
        }
    }

    /// Addresses that nobody has cloudflared on are not dialled either: metadata services, link-local ones and the like.
    private static let policy = UpstreamPolicy(allowed: [
        IPPrefix(masking: IPAddress(v4: 0), length: 0), IPPrefix(masking: IPAddress(v6High: 0, low: 0), length: 0),
    ])
    private static let maxBody = 65_536

    /// Asks the cloudflared whose metrics are at `address`, the configuration's `cloudflared_metrics`.
    ///
    /// - Parameter timeout: nanoseconds for each of look-up, connection and response.
    package static func read(
        from address: UpstreamAddress, timeout: UInt64, on reactor: Reactor
    ) async throws(Failure) -> CloudflaredStatus {
        let found: [IPAddress]
        do throws(IOError) { found = try await reactor.resolver.resolve(address.host, timeout: timeout, ttl: 0) } catch
        {
            throw .unreachable("lookup \(address.host): \(error.reason)")
        }
        let allowed = found.filter { policy.verdict($0, port: address.port).isAllowed }
        guard !allowed.isEmpty else { throw .unreachable("\(address.host) has no address that cloudflared could have") }
        let connection: ClientConnection
        do throws(DialError) {
            let targets = Connector.alternating(allowed).map { SocketAddress.ip($0, port: address.port) }
            let (socket, target) = try await Connector.connect(to: targets, timeout: timeout, on: reactor)
            connection = ClientConnection(socket, target, on: reactor)
        } catch { throw .unreachable(error.description) }
        defer { connection.close() }
        let host = address.description.dropFirst("http://".count)
        let request = "GET /ready HTTP/1.1\r\nHost: \(host)\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
        let response: OwnRequest.Response
        do throws(OwnRequest.Failure) {
            response = try await OwnRequest.send(
                Array(request.utf8), .get, on: connection, timeout: timeout, limit: maxBody, reactor: reactor)
        } catch {
            if case .malformed(let reason, _) = error { throw .notUnderstood("\(address)/ready: \(reason)") }
            throw .unreachable("\(address)/ready: \(error)")
        }
        guard let status = CloudflaredStatus(response.body) else {
            throw .notUnderstood("\(address)/ready: \(response.status) without readyConnections")
        }
        return status
    }

    init(readyConnections: Int, connectorID: String?) {
        (self.readyConnections, self.connectorID) = (readyConnections, connectorID)
    }

    /// Reads `{"status":200,"readyConnections":4,"connectorId":"..."}`. It is flat and cloudflared's own, so that two names are
    /// looked for and no reader of JSON is needed.
    init?(_ body: [UInt8]) {
        let text = String(decoding: body, as: UTF8.self)
        func value(_ name: String) -> Substring? {
            guard let start = text.firstRange(of: "\"\(name)\"")?.upperBound else { return nil }
            let rest = text[start...].drop { $0 == " " || $0 == "\n" || $0 == "\t" }
            return rest.first == ":" ? rest.dropFirst().drop { $0 == " " || $0 == "\n" || $0 == "\t" } : nil
        }
        guard let digits = value("readyConnections")?.prefix(while: { $0.isASCII && $0.isNumber }),
            let connections = AddressSyntax.number(digits.utf8, upTo: 65_535)
        else { return nil }
        let id = value("connectorId").flatMap { $0.first == "\"" ? $0.dropFirst().prefix { $0 != "\"" } : nil }
        self.init(readyConnections: connections, connectorID: id.map { Diagnostic.excerpt(String($0)) })
    }
}
