import Testing
import TunnelCore

@Suite struct WebSocketHandshakeTests {
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="

    /// RFC 6455 §1.3.
    @Test func acceptOfTheRFC() {
        #expect(WebSocketHandshake.accept(forKey: Self.key) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test func keys() {
        let keys = (0..<100).map { _ in WebSocketHandshake.makeKey() }
        #expect(Set(keys).count == 100 && keys.allSatisfy { WebSocketHandshake.isValidKey($0) })
        // The example of RFC 6455 §4.1 has unused bits set.
        #expect(WebSocketHandshake.isValidKey("AQIDBAUGBwgJCgsMDQ4PEC=="))
    }

    @Test(arguments: [
        "", "==", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZQA=", "dGhlIHNhbXBsZSBub25j-Q==", "dGhlIHNhbXBsZSBub25=ZQ==", " GhlIHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jé==",
    ])
    func refusesKey(_ key: String) { #expect(!WebSocketHandshake.isValidKey(key)) }

    private static func response(_ subprotocol: String?, _ extensions: String?) -> String {
        var buffer = ByteBuffer()
        WebSocketHandshake.appendServerResponse(
            acceptFor: key, subprotocol: subprotocol, extensions: extensions, into: &buffer)
        return String(decoding: buffer.array, as: UTF8.self)
    }

    @Test func serverResponse() {
        let common =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        #expect(Self.response(nil, nil) == common + "\r\n")
        #expect(
            Self.response("chat", "permessage-deflate")
                == common + "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
        // Nothing given can add a line.
        #expect(Self.response("a\r\nX: y", "b\r\nX: y") == common + "\r\n")
    }
}
