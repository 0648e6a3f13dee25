/// What this hop says about the client: `X-Forwarded-Host` and `-Proto`, and in full also `Forwarded` (RFC 7239) and
/// `X-Forwarded-For`.
///
/// X-Forwarded-Host and -Proto name one value in practice, so the client's are replaced by what this hop saw. Our part is
/// appended to the client's Forwarded and X-Forwarded-For. Where we write no Forwarded the client's is dropped, because it
/// names host and scheme too; X-Forwarded-For says who came before us, and passes.
///
/// An upstream must be able to take ours for ours, so what it could read as one of these, or beside them, is dropped: see
/// `isAlias(_:in:)`.
public struct ForwardedFields: Sendable {
    /// How much is said.
    @nonexhaustive
    public enum Extent: Sendable {
        /// X-Forwarded-Host and -Proto: what is certain.
        case hostAndProto
        /// Forwarded and X-Forwarded-For besides.
        case full
    }

    /// The client's IP address as text, without brackets or port; empty if it has none (a Unix socket).
    public var clientAddress: [UInt8]
    /// The client spoke TLS to us.
    public var isSecure: Bool
    public var extent: Extent

    public init(clientAddress: [UInt8], isSecure: Bool, extent: Extent = .full) {
        self.clientAddress = clientAddress
        self.isSecure = isSecure
        self.extent = extent
    }

    private var isIPv6: Bool { clientAddress.contains(HTTPByte.colon) }

    /// The client's fields that do not pass.
    var replaced: FieldNames {
        let names = FieldNames().with(.forwarded).with(.forwardingAlias).with(.xForwardedHost).with(.xForwardedProto)
        return extent == .full ? names.with(.xForwardedFor) : names
    }

    /// The name is read as one of ours by an upstream behind CGI or WSGI, where `-` and `_` are the same
    /// (RFC 3875 §4.1.18), or is another name for host, scheme or client that servers and frameworks believe.
    ///
    /// Not X-Forwarded-For, -Host and -Proto as they are usually spelt, which have names of their own.
    static func isAlias(_ name: Range<Int>, in bytes: Span<UInt8>) -> Bool {
        guard 9...20 ~= name.count, bytes[name.lowerBound] | 0x20 == 0x78 else { return false }
        @inline(__always) func folds(_ text: StaticString) -> Bool { bytes.folds(name, onto: text) }
        return switch name.count {
        case 9: folds("x-real-ip")
        case 15: folds("x-forwarded-for") || folds("x-forwarded-ssl")
        case 16: folds("x-forwarded-host") || folds("x-forwarded-port")
        case 17: folds("x-forwarded-proto")
        case 18: folds("x-forwarded-prefix") || folds("x-forwarded-server") || folds("x-forwarded-scheme")
        case 20: folds("x-forwarded-protocol")
        default: false
        }
    }

    /// Appends the lines for the request `head`, which was parsed from `bytes`.
    func append(for head: RequestHead, _ bytes: Span<UInt8>, into out: inout ByteBuffer) {
        if extent == .full { appendFull(for: head, bytes, into: &out) }
        if !head.authority.isEmpty {
            out.append("X-Forwarded-Host: ")
            out.append(bytes.extracting(head.authority))
            out.append("\r\n")
        }
        out.append(isSecure ? "X-Forwarded-Proto: https\r\n" : "X-Forwarded-Proto: http\r\n")
    }

    private func appendFull(for head: RequestHead, _ bytes: Span<UInt8>, into out: inout ByteBuffer) {
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
        out.append(isSecure ? ";proto=https" : ";proto=http")

        out.append("\r\nX-Forwarded-For: ")
        appendValues(of: .xForwardedFor, in: head, bytes, into: &out)
        if clientAddress.isEmpty { out.append("unknown") } else { out.append(clientAddress) }
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

extension Span<UInt8> {
    /// The bytes at `range`, a token, become `text` where letters are small and all that is neither letter nor digit is `-`.
    fileprivate func folds(_ range: Range<Int>, onto text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        // SAFETY: the pointer of a StaticString covers utf8CodeUnitCount bytes, the bound of the loop.
        let expected = text.utf8Start
        for i in 0..<range.count {
            let byte = self[range.lowerBound + i].asciiLowercase
            let isPlain = 0x61...0x7A ~= byte || 0x30...0x39 ~= byte
            guard (isPlain ? byte : HTTPByte.hyphen) == expected[i] else { return false }
        }
        return true
    }
}
