internal import TunnelCore

/// One request that is sent whole: head and body in one piece.
///
/// Its textual forms show the method only: target, fields and body may hold secrets.
package struct OutgoingRequest: Sendable, CustomStringConvertible, CustomReflectable {
    package let method: String
    /// Path and query, beginning with `/` (RFC 9112 §3.2.1).
    package let target: String
    /// Fields besides Host and Content-Length, which are written by themselves.
    package let fields: [(name: String, value: String)]
    /// `nil` for none.
    package let body: [UInt8]?

    package init(
        _ method: String, _ target: String, fields: [(name: String, value: String)] = [], body: [UInt8]? = nil
    ) {
        (self.method, self.target, self.fields, self.body) = (method, target, fields, body)
    }

    package var description: String { method }
    package var customMirror: Mirror { Mirror(self, children: [:]) }

    /// Fields that say where a message ends, or that concern the connection; one of the caller's would contradict ours.
    private static let reserved: Set<String> = [
        "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect",
        "proxy-authorization", "proxy-connection",
    ]

    /// The request's bytes.
    ///
    /// - Throws: `.invalidRequest` for a part that could end the head early or be read in two ways. The text names the
    ///   part, never its value.
    func encoded(for endpoint: HTTPEndpoint) throws(HTTPClientError) -> ByteBuffer {
        func refused(_ problem: String) -> HTTPClientError {
            HTTPClientError(.invalidRequest, .request, "\(endpoint)", problem)
        }
        guard HTTPGrammar.isToken(method) else { throw refused("the method is not a token (RFC 9110 9.1)") }
        // CONNECT would make a tunnel of the connection, and its target has another form.
        guard method != "CONNECT" else { throw refused("CONNECT is not sent as a request") }
        guard target.hasPrefix("/"), HTTPGrammar.isTarget(target) else {
            throw refused("the target is not a path with percent-encoding (RFC 9112 3.2.1)")
        }
        for (name, value) in fields {
            guard HTTPGrammar.isToken(name) else { throw refused("a field's name is not a token (RFC 9110 5.1)") }
            guard !Self.reserved.contains(name.lowercased()) else {
                throw refused("\(name) is not the caller's to set")
            }
            guard HTTPGrammar.isFieldValue(value) else {
                throw refused("the value of \(name) holds a control character (RFC 9110 5.5)")
            }
        }
        var bytes = ByteBuffer(capacity: 1024 + (body?.count ?? 0))
        bytes.append("\(method) \(target) HTTP/1.1\r\nHost: \(endpoint.hostField)\r\n")
        for (name, value) in fields { bytes.append("\(name): \(value)\r\n") }
        // RFC 9110 §8.6: these methods give a body a meaning, so the lack of one is said.
        if body != nil || ["POST", "PUT", "PATCH"].contains(method) {
            bytes.append("Content-Length: \(body?.count ?? 0)\r\n")
        }
        bytes.append("\r\n" as StaticString)
        if let body { bytes.append(body) }
        return bytes
    }
}

/// What may stand in the parts of a head.
enum HTTPGrammar {
    /// `token` (RFC 9110 §5.6.2).
    static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    /// Visible ASCII without `#`, which would begin a fragment.
    static func isTarget(_ text: String) -> Bool {
        text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }
    }

    /// `field-content` (RFC 9110 §5.5): no control character but HTAB.
    static func isFieldValue(_ text: String) -> Bool {
        text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
    }
}
