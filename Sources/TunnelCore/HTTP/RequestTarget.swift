/// The four shapes of a request target (RFC 9112 §3.2).
public enum TargetForm: Sendable, Equatable {
    /// `/path?query`
    case origin
    /// `http://host/path?query`
    case absolute
    /// `host:port`, for CONNECT.
    case authority
    /// `*`, for OPTIONS.
    case asterisk
}

/// A request target cut into its parts.
struct RequestTarget {
    private(set) var form: TargetForm
    /// Empty for the authority form, and for an absolute form that has none.
    private(set) var path: Range<Int>
    /// Path and query as an origin server wants them; empty like `path`.
    private(set) var pathAndQuery: Range<Int>
    /// The authority in the target, if the form has one.
    private(set) var authority: Range<Int>?

    /// - Throws: 400 for a byte that is not visible ASCII, "#", a form that the method does not have, a scheme other
    ///   than http and https, an invalid authority.
    init(_ target: Range<Int>, _ method: Method, in bytes: Span<UInt8>) throws(HTTPError) {
        guard bytes.holdsOnly(.target, in: target) else {
            throw .badMessage("empty request target or invalid byte in it (RFC 9112 3.2)")
        }
        if method == .connect {
            guard let parts = Authority.split(bytes.extracting(target)), parts.port?.isEmpty == false else {
                throw .badMessage("target of CONNECT is not host:port (RFC 9112 3.2.3)")
            }
            (form, authority) = (.authority, target)
            path = target.upperBound..<target.upperBound
            pathAndQuery = path
            return
        }
        var start = target.lowerBound
        if bytes[start] == HTTPByte.slash {
            (form, authority) = (.origin, nil)
        } else if bytes[start] == HTTPByte.asterisk, target.count == 1 {
            guard method == .options else { throw .badMessage("target * without OPTIONS (RFC 9112 3.2.4)") }
            (form, authority) = (.asterisk, nil)
        } else {
            guard let authorityStart = RequestTarget.afterScheme(target, in: bytes) else {
                throw .badMessage("target is neither a path nor an http URI (RFC 9112 3.2)")
            }
            start = authorityStart
            while start < target.upperBound, bytes[start] != HTTPByte.slash, bytes[start] != HTTPByte.question {
                start += 1
            }
            guard Authority.isValid(bytes.extracting(authorityStart..<start)) else {
                throw .badMessage("invalid authority in the target (RFC 9110 4.2.1)")
            }
            (form, authority) = (.absolute, authorityStart..<start)
        }
        pathAndQuery = start..<target.upperBound
        var end = start
        while end < target.upperBound, bytes[end] != HTTPByte.question { end += 1 }
        path = start..<end
    }

    /// Where the authority begins, if the target begins with `http://` or `https://`.
    private static func afterScheme(_ target: Range<Int>, in bytes: Span<UInt8>) -> Int? {
        let plain = target.prefix(7)
        let secure = target.prefix(8)
        if bytes.matches(plain, ignoringCase: "http://") { return plain.upperBound }
        if bytes.matches(secure, ignoringCase: "https://") { return secure.upperBound }
        return nil
    }
}
