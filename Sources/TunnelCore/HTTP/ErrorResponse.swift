/// A short response of our own: `text/plain`, one line, with its length.
public struct ErrorResponse {
    /// Appends head and body of the response.
    ///
    /// - Parameter body: one line, without its end.
    /// - Parameter extra: further fields, such as Retry-After. Names and values are ours and hold no control bytes. With
    ///   Upgrade among them, Connection names it as RFC 9110 §7.8 requires.
    /// - Parameter connectionClose: the connection closes after the response; say so.
    /// - Parameter isHead: the request was HEAD: the body is announced and left out.
    public static func append(
        status: UInt16, body: String, extra: [(name: String, value: String)] = [], connectionClose: Bool,
        isHead: Bool = false, into out: inout ByteBuffer
    ) {
        out.append("HTTP/1.1 ")
        out.append(decimal: UInt64(status))
        out.append(0x20)
        out.append(reasonPhrase(status))
        out.append("\r\n")
        appendFields(body: body, extra: extra, into: &out)
        let hasUpgrade = extra.contains { $0.name.lowercased() == "upgrade" }
        if connectionClose || hasUpgrade {
            out.append("Connection: ")
            if connectionClose { out.append("close") }
            if hasUpgrade { out.append(connectionClose ? ", upgrade" : "upgrade") }
            out.append("\r\n")
        }
        out.append("\r\n")
        if isHead { return }
        out.append(body)
        out.append("\n")
    }

    /// Appends the field lines of the response, as HTTP/2 has them too.
    package static func appendFields(
        body: String, extra: [(name: String, value: String)], into out: inout ByteBuffer
    ) {
        out.append("Content-Type: text/plain; charset=utf-8\r\nContent-Length: ")
        out.append(decimal: UInt64(body.utf8.count) + 1)
        out.append("\r\n")
        for field in extra {
            out.append(field.name)
            out.append(": ")
            out.append(field.value)
            out.append("\r\n")
        }
    }

    /// The reason phrase of RFC 9110 §15 for the errors that a server says by itself; empty for others.
    public static func reasonPhrase(_ status: UInt16) -> StaticString {
        switch status {
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 413: "Content Too Large"
        case 417: "Expectation Failed"
        case 421: "Misdirected Request"
        case 426: "Upgrade Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: ""
        }
    }
}
