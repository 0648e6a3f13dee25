/// What this hop adds about the client: `Forwarded` (RFC 7239) and the older `X-Forwarded-For`, `-Host` and `-Proto`.
///
/// Our part is appended to the client's Forwarded and X-Forwarded-For. X-Forwarded-Host and -Proto name one value in
/// practice, so the client's are replaced by what this hop saw.
public struct ForwardedFields: Sendable {
    /// The client's IP address as text, without brackets or port; empty if it has none (a Unix socket).
    public var clientAddress: [UInt8]
    /// The client spoke TLS to us.
    public var isSecure: Bool

    public init(clientAddress: [UInt8], isSecure: Bool) {
        self.clientAddress = clientAddress
        self.isSecure = isSecure
    }

    private var proto: StaticString { isSecure ? "https" : "http" }
    private var isIPv6: Bool { clientAddress.contains(HTTPByte.colon) }

    /// The field is one of those that `append` writes anew.
    static func replaces(_ id: FieldName) -> Bool {
        id == .forwarded || id == .xForwardedFor || id == .xForwardedHost || id == .xForwardedProto
    }

    /// Appends the lines for the request `head`, which was parsed from `bytes`.
    func append(for head: RequestHead, _ bytes: Span<UInt8>, into out: inout ByteBuffer) {
        out.append("Forwarded: ")
        appendValues(of: .forwarded, in: head, bytes, into: &out)
        out.append("for=")
        if clientAddress.isEmpty {
            out.append("unknown")
        } else if isIPv6 {
            out.append("\"[")
            out.append(clientAddress)
            out.append("]\"")
        } else {
            out.append(clientAddress)
        }
        if !head.authority.isEmpty {
            // Quoted, for a port or a bracket is no token.
            out.append(";host=\"")
            out.append(bytes.extracting(head.authority))
            out.append("\"")
        }
        out.append(";proto=")
        out.append(proto)

        out.append("\r\nX-Forwarded-For: ")
        appendValues(of: .xForwardedFor, in: head, bytes, into: &out)
        if clientAddress.isEmpty { out.append("unknown") } else { out.append(clientAddress) }
        if !head.authority.isEmpty {
            out.append("\r\nX-Forwarded-Host: ")
            out.append(bytes.extracting(head.authority))
        }
        out.append("\r\nX-Forwarded-Proto: ")
        out.append(proto)
        out.append("\r\n")
    }

    private func appendValues(
        of id: FieldName, in head: RequestHead, _ bytes: Span<UInt8>, into out: inout ByteBuffer
    ) {
        for field in head.fields where field.id == id && !field.isHopByHop && !field.value.isEmpty {
            out.append(bytes.extracting(field.value))
            out.append(", ")
        }
    }
}
