// docs/embedding.md
import TunnelAPI

/// A transport of the program's own; this one logs what goes through another.
struct LoggedTransport: HTTPTransport {
    let transport: any HTTPTransport
    let log: @Sendable (String) -> Void

    func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
        do throws(TransportError) {
            let response = try await transport.send(request)
            log("\(request): \(response)")  // both show no secret: method and address, status
            return response
        } catch {
            log("\(request): \(error)")
            throw error
        }
    }

    func pause(_ duration: Duration) async { await transport.pause(duration) }
}
// docs/embedding.md
