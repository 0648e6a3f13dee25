internal import TunnelCore
internal import TunnelIO

/// What requests travel on: a connection, and where that leads to a proxy in TLS, the session with the endpoint inside it.
struct HTTPLink {
    /// To the endpoint, or to its proxy.
    let connection: ClientConnection
    /// `nil` where the connection itself ends at the endpoint.
    var inner: TLSByteStream?

    init(_ connection: ClientConnection) { self.connection = connection }

    /// To whoever was reached last.
    var stream: any ByteStream { inner ?? connection }

    /// Whether the connection may wait for another request. A pool knows connections only, and the few requests of a
    /// run do not need one that knows more.
    var canBeParked: Bool { inner == nil }

    /// Ends it in order as far as it is in order: close_notify of the session inside goes first.
    func close() {
        if connection.socket.failure == nil { inner?.close() }
        connection.close()
    }
}
