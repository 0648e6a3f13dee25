extension RequestHead {
    /// Parses the head at the front of `bytes`.
    ///
    /// - Parameter bytes: everything received from the first byte of the head on; more may follow it.
    /// - Returns: the bytes of the whole head, its final empty line included, or `nil` if more are needed.
    /// - Throws: 400 for a malformed or ambiguous head, 431 above a limit as soon as that is known, 505 for a version
    ///   other than 1.0 and 1.1. The head is of no use afterwards, until `reset()`.
    public mutating func parse(_ bytes: Span<UInt8>, limits: HeadLimits = HeadLimits()) throws(HTTPError) -> Int? {
        let resumed = phase
        phase = .failed
        switch resumed {
        case .failed: throw .badMessage("head already refused")
        case .done:
            phase = .done
            return section.lines.position
        case .start, .afterEmptyLine:
            guard let line = try section.lines.next(in: bytes, limit: limits.byteLimit) else {
                phase = resumed
                return nil
            }
            if line.isEmpty {
                guard resumed == .start else { throw .badMessage("empty lines before a request (RFC 9112 2.2)") }
                phase = .afterEmptyLine
                return try parse(bytes, limits: limits)
            }
            try parseRequestLine(line, bytes)
            section.begin()
        case .fields: break
        }
        guard try section.read(bytes, limits) else {
            phase = .fields
            return nil
        }
        try interpretFields(bytes)
        phase = .done
        return section.lines.position
    }

    /// `method SP request-target SP HTTP-version`, with exactly these two spaces (RFC 9112 §3).
    private mutating func parseRequestLine(_ line: Range<Int>, _ bytes: Span<UInt8>) throws(HTTPError) {
        var i = line.lowerBound
        while i < line.upperBound, HTTPByteSet.token.contains(bytes[i]) { i += 1 }
        guard i > line.lowerBound, i < line.upperBound, bytes[i] == HTTPByte.space else {
            throw .badMessage("invalid method (RFC 9112 3.1)")
        }
        methodRange = line.lowerBound..<i
        method = Method(methodRange, in: bytes)

        let targetStart = i + 1
        i = targetStart
        while i < line.upperBound, bytes[i] != HTTPByte.space { i += 1 }
        guard i < line.upperBound else { throw .badMessage("request line without a version (RFC 9112 3)") }
        target = targetStart..<i
        minorVersion = try HTTPVersion.minor(i + 1..<line.upperBound, bytes)

        let parts = try RequestTarget(target, method, in: bytes)
        (targetForm, path, pathAndQuery) = (parts.form, parts.path, parts.pathAndQuery)
        authority = parts.authority ?? target.upperBound..<target.upperBound
    }

    private mutating func interpretFields(_ bytes: Span<UInt8>) throws(HTTPError) {
        let options = try section.markHopByHop(bytes)
        let framing = try FramingFields(section.fields, bytes, minorVersion: minorVersion)
        self.framing = framing.isChunked ? .chunked : framing.length.map { .length($0) } ?? .none
        isPersistent = options.isPersistent(minorVersion: minorVersion)
        bindsConnection = ConnectionLogin.isNamed(in: section, bytes)
        try interpretHost(bytes)
        guard minorVersion > 0 else { return }
        expectsContinue =
            !self.framing.isEmpty
            && section.first(.expect).map { bytes.matches($0.value, ignoringCase: "100-continue") } ?? false
        if options.upgrades { try interpretUpgrade(bytes) }
    }

    private mutating func interpretHost(_ bytes: Span<UInt8>) throws(HTTPError) {
        var host: Range<Int>?
        for field in section.fields where field.id == .host {
            guard host == nil else { throw .badMessage("several Host (RFC 9112 3.2)") }
            host = field.value
        }
        guard let host else {
            guard minorVersion == 0 else { throw .badMessage("no Host (RFC 9112 3.2)") }
            return
        }
        guard Authority.isValid(bytes.extracting(host)) else { throw .badMessage("invalid Host (RFC 9112 3.2)") }
        if targetForm == .absolute, !bytes.equals(host, ignoringCase: authority) {
            throw .badMessage("target and Host differ (RFC 9112 3.2.2)")
        }
        authority = host
    }

    /// `1#( protocol-name [ "/" protocol-version ] )` (RFC 9110 §7.8), in one field.
    private mutating func interpretUpgrade(_ bytes: Span<UInt8>) throws(HTTPError) {
        var value: Range<Int>?
        for field in section.fields where field.id == .upgrade {
            guard value == nil else { throw .badMessage("several Upgrade (RFC 9110 7.8)") }
            value = field.value
        }
        guard let value else { return }
        var list = TokenList(value)
        var isWebSocket = false
        while let element = list.next(in: bytes) {
            var slash = element.lowerBound
            while slash < element.upperBound, bytes[slash] != HTTPByte.slash { slash += 1 }
            let version = slash < element.upperBound ? slash + 1..<element.upperBound : element
            guard bytes.holdsOnly(.token, in: element.lowerBound..<slash), bytes.holdsOnly(.token, in: version) else {
                throw .badMessage("invalid Upgrade (RFC 9110 7.8)")
            }
            isWebSocket = isWebSocket || bytes.matches(element, ignoringCase: "websocket")
        }
        isWebSocketUpgrade = isWebSocket && method == .get
        namesOnlyWebSocket = bytes.matches(value, ignoringCase: "websocket")
    }
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
