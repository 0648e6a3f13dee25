/// Logins that belong to a connection and not to a request: NTLM, Negotiate and Kerberos as Windows servers have them
/// (MS-NTHT; RFC 4559 §6).
///
/// HTTP knows no such thing: each request stands by itself (RFC 9110 §3.3), and a proxy may send any two on one connection.
/// Where a server keeps a login with its connection, the next request on it is that user's, whoever sent it. So a
/// connection on which such a scheme was named carries no other client's requests.
enum ConnectionLogin {
    private static var credentials: FieldNames {
        FieldNames().with(.authorization).with(.proxyAuthorization).with(.wwwAuthenticate).with(.proxyAuthenticate)
    }

    /// A field of the section names such a scheme, as an offer or in use, or says `Persistent-Auth`.
    static func isNamed(in section: FieldSection, _ bytes: Span<UInt8>) -> Bool {
        if section.names.contains(.persistentAuth) { return true }
        guard section.names.overlaps(credentials) else { return false }
        for field in section.fields where credentials.contains(field.id) {
            // A comma may also stand in a quoted string. Taking what follows it for a scheme costs a connection, no more.
            var list = TokenList(field.value)
            while let element = list.next(in: bytes) {
                if isConnectionBound(element, bytes) { return true }
            }
        }
        return false
    }

    /// `scheme`, or `scheme` and what belongs to it.
    private static func isConnectionBound(_ element: Range<Int>, _ bytes: Span<UInt8>) -> Bool {
        var end = element.lowerBound
        while end < element.upperBound, HTTPByteSet.token.contains(bytes[end]) { end += 1 }
        let scheme = element.lowerBound..<end
        return switch scheme.count {
        case 4: bytes.matches(scheme, ignoringCase: "ntlm")
        case 8: bytes.matches(scheme, ignoringCase: "kerberos")
        case 9: bytes.matches(scheme, ignoringCase: "negotiate")
        default: false
        }
    }
}
