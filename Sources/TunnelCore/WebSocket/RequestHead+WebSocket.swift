extension RequestHead {
    /// What the server has to say in Sec-WebSocket-Accept to this request, which asks for WebSocket.
    package func webSocketAccept(_ bytes: Span<UInt8>) -> String {
        var key = webSocketKey
        if key.isEmpty, let field = first(.secWebSocketKey) {
            key = bytes.extracting(field.value).withUnsafeBytes { Array($0) }
        }
        return WebSocketHandshake.accept(forKey: String(decoding: key, as: UTF8.self))
    }
}
