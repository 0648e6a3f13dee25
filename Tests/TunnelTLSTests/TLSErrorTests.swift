import Testing
import TunnelCore
import TunnelTLS

@Suite struct TLSErrorTests {
    /// What a failed connection leaves in the library's queue is not blamed on the next one.
    @Test func oneFailureDoesNotTouchTheNextConnection() throws {
        let contexts = try TestContexts()
        var good = try TestConnection(contexts)
        try good.run()
        var bad = try TLSEngine(server: contexts.server)
        var plaintext = ByteBuffer(), output = ByteBuffer()
        #expect(throws: TLSError.self) {
            _ = try bad.process(Array("GET / HTTP/1.1\r\n".utf8), plaintext: &plaintext, output: &output)
        }
        #expect(throws: TLSIdentityError.self) { try TLSIdentity(certificates: [1], privateKey: [2]) }
        try good.client.write([1], output: &good.toServer)
        try good.run()
        #expect(good.atServer.array == [1])
    }

    @Test func saysWhatWasGoingOn() throws {
        var server = try TLSEngine(server: TestContexts().server)
        var plaintext = ByteBuffer(), output = ByteBuffer()
        let error = #expect(throws: TLSError.self) {
            _ = try server.process(Array("GET / HTTP/1.1\r\n".utf8), plaintext: &plaintext, output: &output)
        }
        #expect(error?.operation == "handshake" && error?.description == "tls handshake: http request")
        #expect(error?.alert?.isFromPeer != true)
    }
}

@Suite struct TLSAlertTests {
    /// The words operators look for, and some from each RFC.
    static let names: [(UInt8, String)] = [
        (0, "close notify"), (10, "unexpected message"), (40, "handshake failure"), (42, "bad certificate"),
        (45, "certificate expired"), (48, "unknown certificate authority"), (50, "decode error"),
        (70, "protocol version"), (120, "no application protocol"), (255, "alert 255"),
    ]
    @Test(arguments: names) func hasTheName(_ row: (value: UInt8, name: String)) {
        #expect(TLSAlert(value: row.value, isFromPeer: true).name == row.name)
    }

    @Test func everyValueHasItsOwnName() {
        let names = Set((UInt8.min...UInt8.max).map { TLSAlert(value: $0, isFromPeer: false).name })
        #expect(names.count == 256)
    }
}
