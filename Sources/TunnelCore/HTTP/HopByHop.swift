/// Which fields concern one connection only and are not passed on (RFC 9110 §7.6.1). `Field.isHopByHop` holds the result.
///
/// - Always: Connection, Keep-Alive, Proxy-Connection, TE, Transfer-Encoding and Upgrade. Where the next connection
///   needs one of them, the head is written with one of its own.
/// - HTTP2-Settings: with it, an upgrade to h2c would carry requests past the routes (RFC 9113 §3.1 dropped both).
/// - Proxy-Authenticate, Proxy-Authorization and Proxy-Authentication-Info: they speak to the next proxy only
///   (RFC 9110 §11.7), and that is us, who ask for none.
/// - Every field that a Connection field names. Naming Host or Content-Length has no effect: the message would be another.
/// - Not Trailer: it describes the body and goes wherever the trailers go.
package enum HopByHop {
    /// Options that the Connection fields of one head may hold in all, empty ones included.
    package static let maxConnectionOptions = 32

    /// The name alone says so.
    package static func isHopByHop(_ id: FieldName) -> Bool {
        switch id {
        case .connection, .keepAlive, .proxyConnection, .te, .transferEncoding, .upgrade, .http2Settings,
            .proxyAuthenticate, .proxyAuthorization, .proxyAuthenticationInfo:
            true
        default: false
        }
    }

    /// Marks the fields that are hop-by-hop.
    ///
    /// - Throws: 400 for a Connection option that is not a token, or too many of them.
    /// - Returns: the options that concern the connection itself.
    static func mark(_ fields: inout [Field], _ bytes: Span<UInt8>) throws(HTTPError) -> ConnectionOptions {
        var options = ConnectionOptions()
        var left = maxConnectionOptions
        for index in fields.indices {
            guard isHopByHop(fields[index].id) else { continue }
            fields[index].isHopByHop = true
            guard fields[index].id == .connection else { continue }
            var list = TokenList(fields[index].value)
            while let option = list.next(in: bytes) {
                guard list.count <= left else { break }
                guard bytes.holdsOnly(.token, in: option) else {
                    throw .badMessage("Connection option is not a token (RFC 9110 7.6.1)")
                }
                if !options.note(option, bytes) { markNamed(option, &fields, bytes) }
            }
            guard list.count <= left else { throw .badMessage("over \(maxConnectionOptions) Connection options") }
            left -= list.count
        }
        return options
    }

    private static func markNamed(_ option: Range<Int>, _ fields: inout [Field], _ bytes: Span<UInt8>) {
        for index in fields.indices where bytes.equals(fields[index].name, ignoringCase: option) {
            let id = fields[index].id
            if id != .host && id != .contentLength { fields[index].isHopByHop = true }
        }
    }
}

/// The Connection options that say what becomes of the connection.
struct ConnectionOptions: Sendable {
    private(set) var closes = false
    private(set) var keepsAlive = false
    private(set) var upgrades = false

    /// Takes note of one option; false if it is the name of a field to look for.
    mutating func note(_ option: Range<Int>, _ bytes: Span<UInt8>) -> Bool {
        if bytes.matches(option, ignoringCase: "close") {
            closes = true
        } else if bytes.matches(option, ignoringCase: "keep-alive") {
            keepsAlive = true
        } else if bytes.matches(option, ignoringCase: "upgrade") {
            upgrades = true
        } else {
            return false
        }
        return true
    }

    /// RFC 9112 §9.3. An HTTP/1.0 peer has to ask for it.
    func isPersistent(minorVersion: UInt8) -> Bool { !closes && (minorVersion > 0 || keepsAlive) }
}
