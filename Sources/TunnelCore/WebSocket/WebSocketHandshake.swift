internal import COpenSSL

/// What both sides of the opening handshake compute and write (RFC 6455 §1.3 and §4.2.2).
public enum WebSocketHandshake {
    /// The only version of the protocol that exists (§4.1).
    public static let version = "13"
    /// Appended to the key before hashing (§1.3).
    private static let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    /// The value of `Sec-WebSocket-Accept` that answers `key`: base64 of the SHA-1 of key and GUID (§4.2.2).
    public static func accept(forKey key: String) -> String {
        let input = Array((key + guid).utf8)
        // SAFETY: SHA1 writes the 20 bytes that the array has.
        let digest = [UInt8](unsafeUninitializedCapacity: Int(SHA_DIGEST_LENGTH)) { room, count in
            SHA1(input, input.count, room.baseAddress)
            count = Int(SHA_DIGEST_LENGTH)
        }
        return base64(digest)
    }

    /// Whether `key` is the base64 form of 16 bytes (§4.1): 22 characters and two of padding.
    ///
    /// The four bits of the last character that stand for nothing may be set: the RFC's own example has them so.
    public static func isValidKey(_ key: String) -> Bool {
        guard key.utf8.count == 24, key.hasSuffix("==") else { return false }
        return key.utf8.prefix(22).allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
    }

    /// A fresh key for a client (§4.1).
    public static func makeKey() -> String {
        var random = SystemRandomNumberGenerator()
        return base64((0..<16).map { _ in UInt8.random(in: .min ... .max, using: &random) })
    }

    /// Appends the server's answer 101 (§4.2.2).
    ///
    /// - Parameter subprotocol: one of those the client asked for. Left out if it is not a token.
    /// - Parameter extensions: the value that `DeflateParameters.answer(to:)` made. Left out if it could not stand in
    ///   a header field.
    public static func appendServerResponse(
        acceptFor key: String, subprotocol: String? = nil, extensions: String? = nil, into buffer: inout ByteBuffer
    ) {
        buffer.append("HTTP/1.1 101 Switching Protocols\r\n" as StaticString)
        buffer.append("Upgrade: websocket\r\nConnection: Upgrade\r\n" as StaticString)
        buffer.append("Sec-WebSocket-Accept: \(accept(forKey: key))\r\n" as String)
        if let subprotocol, HTTPToken.isToken(subprotocol) {
            buffer.append("Sec-WebSocket-Protocol: \(subprotocol)\r\n" as String)
        }
        if let extensions, HTTPToken.isFieldValue(extensions) {
            buffer.append("Sec-WebSocket-Extensions: \(extensions)\r\n" as String)
        }
        buffer.append("\r\n" as StaticString)
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        let size = (bytes.count + 2) / 3 * 4
        // SAFETY: EVP_EncodeBlock writes four characters for three bytes, and a NUL for which there is room.
        let text = [UInt8](unsafeUninitializedCapacity: size + 1) { room, count in
            EVP_EncodeBlock(room.baseAddress, bytes, CInt(bytes.count))
            count = size
        }
        return String(decoding: text, as: UTF8.self)
    }
}
