// docs/embedding.md
import TunnelCore

/// Takes the request that opens a WebSocket from the front of `received`; `nil` while more of it is to come. What is appended
/// to `output` is to be sent in either case, and the transport to be closed after a refusal.
func accept(
    _ handshake: inout ServerHandshake, _ received: inout [UInt8], token: String, output: inout ByteBuffer
) throws(ServerHandshake.Refusal) -> WebSocketMessages? {
    do throws(ServerHandshake.Refusal) {
        guard let request = try handshake.check(received.span) else { return nil }
        guard request.values(of: "Authorization") == ["Bearer \(token)"] else {
            throw .init(status: 401, reason: "who are you?", fields: [("WWW-Authenticate", "Bearer")])
        }
        request.appendResponse(into: &output)
        received.removeFirst(request.consumed)  // what is left are frames
        return WebSocketMessages(role: .server, deflate: request.deflate)
    } catch {
        error.appendResponse(into: &output)
        throw error
    }
}
// docs/embedding.md
