internal import TunnelCore

extension HTTPRequest {
    /// Fields that say where a message ends, or that concern the connection; one of the caller's would contradict ours.
    private static let reserved: Set<String> = [
        "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect",
        "authorization", "proxy-authorization", "proxy-connection",
    ]

    /// The request's bytes, head and body in one piece, with the fields that every request has.
    ///
    /// - Throws: `.invalidRequest` for a part that could end the head early or be read in two ways. The text names the
    ///   part, never its value.
    func encoded() throws(TransportError) -> ByteBuffer {
        try check()
        var bytes = ByteBuffer(capacity: 1024 + (body?.count ?? 0))
        bytes.append("\(method) \(service.prefix)\(target) HTTP/1.1\r\nHost: \(service.authority)\r\n")
        for field in fields { bytes.append("\(field.name): \(field.value)\r\n") }
        if let bearerToken { bytes.append("Authorization: Bearer \(bearerToken.reveal())\r\n") }
        if !isGiven("user-agent") { bytes.append("User-Agent: \(userAgent)\r\n") }
        if !isGiven("accept") { bytes.append("Accept: application/json\r\n") }
        // RFC 9110 §8.6: these methods give a body a meaning, so the lack of one is said.
        if body != nil || ["POST", "PUT", "PATCH"].contains(method) {
            bytes.append("Content-Length: \(body?.count ?? 0)\r\n")
        }
        bytes.append("\r\n" as StaticString)
        if let body { bytes.append(body) }
        return bytes
    }

    private func isGiven(_ name: String) -> Bool { fields.contains { $0.name.lowercased() == name } }

    private func check() throws(TransportError) {
        func refused(_ problem: String) -> TransportError {
            TransportError(.invalidRequest, .request, "\(service)", problem)
        }
        guard HTTPToken.isToken(method) else { throw refused("the method is not a token (RFC 9110 9.1)") }
        // CONNECT would make a tunnel of the connection, and its target has another form.
        guard method != "CONNECT" else { throw refused("CONNECT is not sent as a request") }
        // Without the slash it would run on behind the prefix.
        guard target.hasPrefix("/"), HTTPToken.isTarget(target) else {
            throw refused("the target is not a path with percent-encoding (RFC 9112 3.2.1)")
        }
        for field in fields {
            guard HTTPToken.isToken(field.name) else { throw refused("a field's name is not a token (RFC 9110 5.1)") }
            guard !Self.reserved.contains(field.name.lowercased()) else {
                throw refused("\(field.name) is not the caller's to set")
            }
            guard HTTPToken.isFieldValue(field.value) else {
                throw refused("the value of \(field.name) holds a control character (RFC 9110 5.5)")
            }
        }
        if let bearerToken, !isBearerToken(bearerToken.reveal()) {
            throw refused("the bearer token is empty, too long, or holds a space or a control character")
        }
    }
}

/// Who we are to servers, by name and version.
let userAgent = "mcp-tunnel/\(TunnelAPIVersion.current)"
