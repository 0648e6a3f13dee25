extension ResponseHead {
    /// Appends the 101 that this response is by HTTP/1.1 where it accepts a WebSocket by HTTP/2: there it is a 2xx without
    /// Sec-WebSocket-Accept (RFC 8441 §5).
    ///
    /// - Parameter bytes: those that the head was read from.
    /// - Parameter accept: the value of Sec-WebSocket-Accept, for the key that the client sent.
    package func appendSwitch(_ bytes: Span<UInt8>, accept: String, into out: inout ByteBuffer) {
        out.append("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n")
        out.append("Sec-WebSocket-Accept: ")
        out.append(accept)
        out.append("\r\n")
        for field in fields where !field.isHopByHop {
            switch field.id {
            case .contentLength, .trailer, .secWebSocketAccept: continue
            default: break
            }
            out.append(bytes.extracting(field.line))
            out.append("\r\n")
        }
        out.append("\r\n")
    }
}
