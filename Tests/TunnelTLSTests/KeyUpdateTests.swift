import COpenSSL
import Testing
import TunnelCore

@testable import TunnelTLS

/// Messages after the handshake that carry no data (RFC 8446 §4.6).
@Suite struct KeyUpdateTests {
    @Test func changesKeysInTheMidstOfData() throws {
        var pipe = try TestConnection(TestContexts(version: .tls13))
        try pipe.run()
        for round in 0..<100 {
            #expect(SSL_key_update(pipe.client.ssl, CInt(round % 2)) == 1)
            try pipe.client.write([1, 2, 3], output: &pipe.toServer)
            try pipe.run(cut: 5, pieceSize: 9)
            #expect(pipe.atServer.take() == [1, 2, 3])
            try pipe.server.write([4, 5], output: &pipe.toClient)
            try pipe.run(cut: 5, pieceSize: 9)
            #expect(pipe.atClient.take() == [4, 5])
        }
    }

    /// At the limit the connection lives, one more ends it; data in between starts the count again.
    @Test(arguments: [1, 1 << 20]) func boundsThoseInARow(_ pieceSize: Int) throws {
        let limit = TLSEngine.maxRecordsWithoutData
        var pipe = try TestConnection(TestContexts(version: .tls13))
        try pipe.run()
        for _ in 0..<3 {
            try sendKeyUpdates(limit, &pipe)
            try pipe.run(cut: pieceSize, pieceSize: pieceSize)
            try pipe.client.write([7], output: &pipe.toServer)
            try pipe.run(cut: pieceSize, pieceSize: pieceSize)
            #expect(pipe.atServer.take() == [7])
        }
        try sendKeyUpdates(limit + 1, &pipe)
        let error = #expect(throws: TLSError.self) { try pipe.run(cut: pieceSize, pieceSize: pieceSize) }
        #expect(error?.reason.contains("records in a row without data") == true)
    }

    private func sendKeyUpdates(_ count: Int, _ pipe: inout TestConnection) throws {
        for _ in 0..<count {
            #expect(SSL_key_update(pipe.client.ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1)
            try pipe.client.sendKeyUpdate(output: &pipe.toServer)
        }
    }
}

extension TLSEngine {
    /// A handshake call sends the update that was asked for.
    fileprivate mutating func sendKeyUpdate(output: inout ByteBuffer) throws {
        try withUnsafeMutablePointer(to: &output) { output in
            let transport = try #require(RecordTransport.of(SSL_get_wbio(ssl)))
            transport.pointee.attach(input: UnsafeRawBufferPointer(start: nil, count: 0), output: output)
            defer { transport.pointee.detach() }
            #expect(SSL_do_handshake(ssl) == 1)
        }
    }
}
