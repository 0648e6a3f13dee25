import Synchronization
import TunnelCore
import TunnelIO
import TunnelProxy

/// Asks the admin listener of a proxy that runs on this machine.
struct AdminClient {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let address: ListenAddress

    /// For one request, the connection included.
    private static let timeout: UInt64 = 10_000_000_000
    /// A page's worth of a thousand routes is a tenth of it.
    private static let maxBody = 32 << 20

    /// - Throws: ``Failure`` for whatever keeps the body from being had, another status than `expected` among it.
    func get(_ path: String, expecting expected: Set<Int> = [200]) throws -> [UInt8] {
        let target = try Healthcheck.target(of: address)
        let box = ValueBox<OwnRequest.Response>()
        try Loop.run { loop in box.set(try await Self.get(path, from: target, on: loop.reactor)) }
        guard let response = box.value else { throw Failure(description: "no response") }
        guard expected.contains(response.status) else {
            let words = String(decoding: response.body.prefix(200), as: UTF8.self).split(separator: "\n").first ?? ""
            throw Failure(description: "status \(response.status): \(words)")
        }
        return response.body
    }

    private static func get(
        _ path: String, from target: SocketAddress, on reactor: Reactor
    ) async throws -> OwnRequest.Response {
        let connection: ClientConnection
        do throws(DialError) {
            let (socket, address) = try await Connector.connect(to: [target], timeout: timeout, on: reactor)
            connection = ClientConnection(socket, address, on: reactor)
        } catch { throw Failure(description: "the admin listener: \(error)") }
        defer { connection.close() }
        let host = if case .ip = target { "\(target)" } else { "localhost" }
        let request = "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n"
        return try await OwnRequest.send(
            Array(request.utf8), .get, on: connection, timeout: timeout, limit: maxBody, reactor: reactor)
    }
}

/// Brings a value from the loop on which it was found.
final class ValueBox<Value: Sendable>: Sendable {
    private let held = Mutex<Value?>(nil)

    var value: Value? { held.withLock { $0 } }
    func set(_ value: Value) { held.withLock { $0 = value } }
}
