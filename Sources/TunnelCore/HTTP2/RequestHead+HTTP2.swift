extension RequestHead {
    /// Reads a header block as a request (RFC 9113 §8.3.1). The head refers to the bytes of `list`, whose fields it takes
    /// over, and is the same as that of the request in HTTP/1.1: what routes and forwards need not know where it came from.
    ///
    /// The crumbs of a cookie are one field then. Stricter than the RFC where readers could disagree: there has to be an
    /// authority, in `:authority` or in Host, and a scheme other than http and https is refused.
    ///
    /// - Parameter endsStream: no body follows.
    /// - Parameter allowsConnectProtocol: SETTINGS_ENABLE_CONNECT_PROTOCOL was sent (RFC 8441 §3).
    /// - Throws: 400 for a request that is malformed (RFC 9113 §8.1.1), a stream error PROTOCOL_ERROR on the wire. The head
    ///   is of no use afterwards, until `reset()`.
    package mutating func interpret(
        _ list: inout HPACKFieldList, endsStream: Bool, allowsConnectProtocol: Bool = false
    ) throws(HTTPError) {
        reset()
        phase = .failed
        let pseudo = try PseudoFields(list.fields)
        var cookies = 0
        for index in pseudo.count..<list.fields.count {
            try list.fields[index].checkForHTTP2()
            if list.fields[index].id == .cookie { cookies += 1 }
        }
        if cookies > 1 { list.joinCookies() }
        if let name = pseudo.connectProtocol {
            guard allowsConnectProtocol else { throw .badMessage(":protocol was not offered (RFC 8441 3)") }
            connectProtocol = name
        }
        try list.bytes.withBytes { bytes throws(HTTPError) in try interpretTarget(pseudo, bytes) }
        if isWebSocketUpgrade {
            // RFC 8441 §5: what is a GET with an Upgrade in HTTP/1.1.
            method = .get
            methodRange = list.bytes.count..<list.bytes.count + 3
            list.bytes.append("GET")
        }
        section.adopt(&list.fields, skipping: pseudo.count, end: list.bytes.count)
        try list.bytes.withBytes { bytes throws(HTTPError) in try interpretHTTP2Fields(bytes, endsStream: endsStream) }
        phase = .done
    }

    /// Fields that are hop-by-hop and not refused.
    private static var marked: FieldNames {
        FieldNames().with(.te).with(.http2Settings).with(.proxyAuthenticate).with(.proxyAuthorization)
            .with(.proxyAuthenticationInfo)
    }

    private mutating func interpretTarget(_ pseudo: PseudoFields, _ bytes: Span<UInt8>) throws(HTTPError) {
        guard let name = pseudo.method, bytes.holdsOnly(.token, in: name), pseudo.status == nil else {
            throw .badMessage("no :method, or an invalid one (RFC 9113 8.3.1)")
        }
        methodRange = name
        method = Method(name, in: bytes)
        if let value = pseudo.authority {
            guard Authority.isValid(bytes.extracting(value)) else {
                throw .badMessage("invalid :authority (RFC 9113 8.3.1)")
            }
            authority = value
        }
        guard method != .connect || pseudo.connectProtocol != nil else {
            // RFC 9113 §8.5.
            guard let value = pseudo.authority, pseudo.scheme == nil, pseudo.path == nil else {
                throw .badMessage("CONNECT without :authority, or with :scheme or :path (RFC 9113 8.5)")
            }
            return try cutTarget(value, .connect, bytes)
        }
        if let value = pseudo.connectProtocol {
            guard method == .connect, pseudo.authority != nil, bytes.holdsOnly(.token, in: value) else {
                throw .badMessage(":protocol without CONNECT or :authority (RFC 8441 4)")
            }
            isWebSocketUpgrade = bytes.matches(value, ignoringCase: "websocket")
        }
        guard let scheme = pseudo.scheme,
            bytes.matches(scheme, ignoringCase: "https") || bytes.matches(scheme, ignoringCase: "http")
        else { throw .badMessage("no :scheme, or neither http nor https (RFC 9113 8.3.1)") }
        guard let path = pseudo.path, !path.isEmpty,
            bytes[path.lowerBound] == HTTPByte.slash || bytes[path.lowerBound] == HTTPByte.asterisk
        else { throw .badMessage("no :path, or one that is no path (RFC 9113 8.3.1)") }
        try cutTarget(path, method == .connect ? .get : method, bytes)
    }

    private mutating func cutTarget(_ value: Range<Int>, _ method: Method, _ bytes: Span<UInt8>) throws(HTTPError) {
        let parts = try RequestTarget(value, method, in: bytes)
        (target, targetForm, path, pathAndQuery) = (value, parts.form, parts.path, parts.pathAndQuery)
    }

    private mutating func interpretHTTP2Fields(_ bytes: Span<UInt8>, endsStream: Bool) throws(HTTPError) {
        if section.names.overlaps(Self.marked) { _ = try section.markHopByHop(bytes) }
        var host: Range<Int>?
        for field in section.fields where section.names.overlaps(FieldNames().with(.te).with(.host)) {
            if field.id == .te, !bytes.matches(field.value, ignoringCase: "trailers") {
                throw .badMessage("TE other than trailers (RFC 9113 8.2.2)")
            }
            guard field.id == .host else { continue }
            guard host == nil else { throw .badMessage("several Host (RFC 9110 7.2)") }
            host = field.value
        }
        if let host {
            guard authority.isEmpty || bytes.equals(host, ignoringCase: authority) else {
                throw .badMessage(":authority and Host differ (RFC 9113 8.3.1)")
            }
            guard Authority.isValid(bytes.extracting(host)) else { throw .badMessage("invalid Host (RFC 9113 8.3.1)") }
            authority = host
        }
        guard !authority.isEmpty else { throw .badMessage("neither :authority nor Host (RFC 9113 8.3.1)") }
        let hasLength = section.names.contains(.contentLength)
        let length = hasLength ? try FramingFields(section.fields, bytes, minorVersion: 1).length : nil
        guard !endsStream || length ?? 0 == 0 else {
            throw .badMessage("content-length without a body (RFC 9113 8.1.1)")
        }
        framing = length.map { .length($0) } ?? (endsStream ? .none : .chunked)
        isPersistent = true
        bindsConnection = ConnectionLogin.isNamed(in: section, bytes)
        expectsContinue =
            !endsStream && !framing.isEmpty
            && section.first(.expect).map { bytes.matches($0.value, ignoringCase: "100-continue") } ?? false
    }
}
