internal import COpenSSL

/// Which of several servers behind one listener a context belongs to.
public struct TLSServerScope: Sendable, Hashable {
    /// Bound into every session besides the chain: a ticket is good at the server of this name and at no other, also where two
    /// servers show the same chain and seal with the same keys. `nil`: to the chain alone.
    public let name: String?
    /// The caller's own number for it, which `TLSEngine.serverNumber` tells.
    public let number: Int

    public init(name: String?, number: Int) { (self.name, self.number) = (name, number) }
}

/// Several servers behind one listener. Each connection gets the one that its client asks for by name (SNI, RFC 6066 §3).
///
/// A server answers to a domain and to every name below it. A client that names none of them, or sends no name at all,
/// gets the alert unrecognized_name and no certificate: nobody is given a server by default.
///
/// The choice is made before a ticket is opened. So a ticket is opened with the keys of the server that was asked for, and a
/// session of another one is none: what follows is a full handshake.
///
/// Immutable. A server that changes its identity keeps its place; other servers are another choice, which holds from the next
/// connection on.
public final class TLSServerChoice: Sendable {
    /// For connections until their server is known.
    let context: TLSContext
    private let names: ServerNames

    /// - Parameter servers: each with its domain, in letters of any case. All have `options`.
    /// - Throws: for a domain that is empty or there twice, and one that lies below another, whose names would have two servers.
    public init(
        _ servers: [(domain: String, credentials: ServerCredentials)], options: TLSServerOptions
    ) throws(TLSError) {
        names = try ServerNames(servers)
        context = try TLSContext(options, number: 0, names: names)
        try context.serve(choosing: options)
    }

    /// The server for a name that a client asks for.
    public func server(named name: String) -> ServerCredentials? {
        var name = name
        return name.withUTF8 { names.find($0) }
    }
}

/// Servers by the domains that they answer to.
struct ServerNames: Sendable {
    private let servers: [String: ServerCredentials]

    init(_ list: [(domain: String, credentials: ServerCredentials)]) throws(TLSError) {
        var servers: [String: ServerCredentials] = [:]
        for (domain, credentials) in list {
            guard !domain.isEmpty, servers.updateValue(credentials, forKey: domain.lowercased()) == nil else {
                throw TLSError(operation: "choose server", detail: "the domain \"\(domain)\" is empty or there twice")
            }
        }
        self.servers = servers
        for (domain, _) in list {
            let above = domain.firstIndex(of: ".").map { domain[domain.index(after: $0)...] } ?? ""
            guard above.isEmpty || find(Array(above.utf8).span) == nil else {
                throw TLSError(operation: "choose server", detail: "\"\(domain)\" lies below the domain of another one")
            }
        }
    }

    /// RFC 6066 §3: a name in ASCII, without a dot at its end.
    private static let longest = 255

    func find(_ name: UnsafeBufferPointer<UInt8>) -> ServerCredentials? { find(name.span) }

    private func find(_ name: Span<UInt8>) -> ServerCredentials? {
        guard name.count <= Self.longest else { return nil }
        let text = name.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }.lowercased()
        var rest = text[...]
        while !rest.isEmpty {
            if let found = servers[String(rest)] { return found }
            guard let dot = rest.firstIndex(of: ".") else { return nil }
            rest = rest[rest.index(after: dot)...]
        }
        return nil
    }
}

/// Called with each first ClientHello on a context that chooses, before OpenSSL looks for a session to resume.
///
/// The callback for server names alone would come too late: by then a ticket has been opened with the keys of the context that
/// the connection began with, and judged by its session context.
func chooseServer(
    _ ssl: OpaquePointer?, _ alert: UnsafeMutablePointer<CInt>?, _ argument: UnsafeMutableRawPointer?
) -> CInt {
    alert?.pointee = TLS1_AD_UNRECOGNIZED_NAME
    guard let ssl, let transport = RecordTransport.of(SSL_get_rbio(ssl)), let names = TLSContext.of(ssl)?.names else {
        return SSL_CLIENT_HELLO_ERROR
    }
    var start: UnsafePointer<UInt8>?
    var count = 0
    guard SSL_client_hello_get0_ext(ssl, UInt32(TLSEXT_TYPE_server_name), &start, &count) == 1,
        let name = hostName(UnsafeBufferPointer(start: start, count: count)),
        let server = names.find(name)?.current
    else { return SSL_CLIENT_HELLO_ERROR }
    guard SSL_set_SSL_CTX(ssl, server.context.pointer) != nil else {
        alert?.pointee = SSL_AD_INTERNAL_ERROR
        return SSL_CLIENT_HELLO_ERROR
    }
    // The callbacks of `ssl` look at it from here on.
    transport.pointee.chosen = server.context
    if !server.isSigningExpensive { transport.pointee.pausesBeforeSigning = false }
    return SSL_CLIENT_HELLO_SUCCESS
}

/// The one name in the body of a server_name extension; `nil` unless there is exactly that (RFC 6066 §3).
func hostName(_ body: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8>? {
    // A list of its own length, of one entry: type 0, and a name with its length.
    let overhead = 5
    guard body.count > overhead, body[2] == UInt8(TLSEXT_NAMETYPE_host_name) else { return nil }
    let list = Int(body[0]) << 8 | Int(body[1]), name = Int(body[3]) << 8 | Int(body[4])
    guard list == body.count - 2, name == body.count - overhead else { return nil }
    return UnsafeBufferPointer(rebasing: body[overhead...])
}
