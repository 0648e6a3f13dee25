import COpenSSL
import Testing
import TunnelCore

@testable import TunnelTLS

/// TLS 1.2 can begin a second handshake inside a connection. Neither half of ours does: each would cost the other side a
/// signature for a few bytes.
@Suite struct RenegotiationTests {
    /// OpenSSL 3.0 refuses by itself unless `SSL_OP_ALLOW_CLIENT_RENEGOTIATION` is set.
    @Test func aServerRefuses() throws {
        var pipe = try TestConnection(TestContexts(version: .tls12))
        try pipe.run()
        let session = SSL_get_session(pipe.server.ssl), finished = finishedMessage(pipe.server)
        try pipe.client.renegotiate(output: &pipe.toServer)
        #expect(pipe.toServer.count > 100, "a whole ClientHello")
        try pipe.deliverToServer()
        // A warning, no_renegotiation, and nothing of a handshake: an encrypted record of two bytes.
        #expect(pipe.toClient.array.first == UInt8(SSL3_RT_ALERT) && pipe.toClient.count == 5 + 8 + 2 + 16)
        let error = #expect(throws: TLSError.self) { try pipe.deliverToClient() }
        #expect(error?.reason.contains("no renegotiation") == true)
        // The connection itself is as it was.
        #expect(SSL_get_session(pipe.server.ssl) == session && finishedMessage(pipe.server) == finished)
        try pipe.server.write([1, 2], output: &pipe.toClient)
        #expect(pipe.serverCompletions == 1)
    }

    @Test func aClientRefuses() throws {
        var pipe = try TestConnection(TestContexts(version: .tls12))
        try pipe.run()
        try pipe.server.renegotiate(output: &pipe.toClient)
        try pipe.deliverToClient()
        #expect(pipe.toServer.array.first == UInt8(SSL3_RT_ALERT) && pipe.toServer.count == 5 + 8 + 2 + 16)
    }

    /// What the engine's side said last in its handshake; a second handshake would change it.
    private func finishedMessage(_ engine: borrowing TLSEngine) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 64) { room, count in
            count = SSL_get_finished(engine.ssl, room.baseAddress, room.count)
        }
    }
}

extension TLSEngine {
    /// Sends what begins another handshake, as a peer that is not ours might.
    fileprivate mutating func renegotiate(output: inout ByteBuffer) throws {
        SSL_clear_options(ssl, COpenSSL_OP_NO_RENEGOTIATION())
        #expect(SSL_renegotiate(ssl) == 1)
        withUnsafeMutablePointer(to: &output) { output in
            guard let transport = RecordTransport.of(SSL_get_wbio(ssl)) else { return }
            transport.pointee.attach(input: UnsafeRawBufferPointer(start: nil, count: 0), output: output)
            defer { transport.pointee.detach() }
            SSL_do_handshake(ssl)
            ERR_clear_error()
        }
    }
}
