internal import TunnelCore
internal import TunnelIO

/// What is known of a request, besides its head, whatever carried it.
struct RequestFacts {
    var method = Method.other
    /// A GET that asks for a WebSocket.
    var wantsWebSocket = false
    /// How the body ends, as far as that was said.
    var framing = BodyFraming.none
}

/// A response that we make ourselves: one line of text.
struct OwnResponse {
    let status: UInt16
    let body: String
    var fields: [(name: String, value: String)] = []
}

/// Told by a stream that its client has gone or has ended the connection, in the midst of a request.
protocol ServerStreamObserver: AnyObject {
    func clientEnded(_ end: StreamEnd)
}

/// One request and its response on the client's side, whatever carries them: all that an exchange sees of its client.
///
/// Sending gathers, and ``push()`` hands over what was gathered: a head and the first bytes of its body leave in one record.
/// Its result has to be looked at, so back-pressure cannot be forgotten.
protocol ServerStream: AnyObject {
    /// Names the request in the log: its connection and its number there.
    var connectionNumber: UInt64 { get }
    var requestNumber: UInt64 { get }
    var request: RequestFacts { get }
    /// The number of its stream in HTTP/2; `nil` in HTTP/1.1.
    var streamID: UInt32? { get }
    /// How many requests were under way when this one began, itself among them, where the stream counts it: until the client's
    /// windows have let the last byte of its response go, which may be long after the handler is done. `nil` where the handler
    /// counts.
    var inFlight: Int? { get }
    /// The address of who opened the connection, as text; empty for a Unix socket.
    var clientAddress: [UInt8] { get }

    /// The head and the bytes that its ranges lie in. Until ``releaseHead()``. Handed out `inout` only because Swift copies what
    /// a class lends otherwise: nobody changes it.
    func withHead(_ body: (inout RequestHead, Span<UInt8>) -> Void)
    /// The head is not needed any more, which gives its memory back.
    func releaseHead()

    /// Why the client is there no more; `nil` while it is.
    var end: StreamEnd? { get }
    var observer: (any ServerStreamObserver)? { get set }

    // MARK: The request's body

    /// All of the body has been received.
    var isBodyComplete: Bool { get }
    /// Its trailer section, once it is complete.
    var trailers: [UInt8] { get }
    /// Hands over what has come of the body, where it lies; `take` is called at most once.
    ///
    /// - Parameter limit: bytes to be handed over at the most.
    /// - Throws: when the body is malformed.
    func receiveBody(limit: Int, _ take: (UnsafeRawBufferPointer) -> Void) throws(HTTPError) -> BodyProgress
    /// Waits until ``receiveBody(limit:_:)`` has something to say, or for ``wakeBody()``.
    ///
    /// - Returns: `false` when nothing came for `limits.body_timeout`.
    func bodyReadable() async -> Bool
    func wakeBody()
    /// From now on both directions are bytes without an end of their own: a 101 was sent.
    func becomePipe()

    // MARK: The response

    /// Gathers a 1xx head other than 101.
    func sendInterim(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>)
    /// Gathers the final head, or a 101, with lines of ours in it.
    func sendHead(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>, adding lines: borrowing AddedLines)
    /// Gathers, or sends at once, the first `count` bytes of `buffer`, which is as before afterwards.
    func sendBody(_ buffer: inout ByteBuffer, _ count: Int)
    /// Gathers the body's end.
    func endBody(trailers: [UInt8])
    /// Gathers a response of our own, in place of one from an upstream.
    ///
    /// - Parameter dropsBody: what of the request's body is here already is nobody's, and is dropped so that the connection
    ///   can go on.
    func respond(_ response: OwnResponse, dropsBody: Bool)
    /// Sends what was gathered.
    func push() -> Room
    /// Waits until the client's side takes more.
    ///
    /// - Throws: `.timedOut` when it took nothing for `limits.send_timeout`, and when it is gone.
    func flush() async throws(IOError)
}

extension ServerStream {
    /// Gathers the final head as it is.
    func sendHead(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>) { sendHead(head, bytes, adding: AddedLines()) }
}

/// Whether what was sent in response to a request is a whole response.
enum ResponseEnd {
    case whole
    /// It broke off, so the connection must not end as if it were whole.
    case cut
}

/// Serves requests; an exchange with an upstream does.
protocol RequestHandler: AnyObject {
    func serve(_ stream: any ServerStream) async -> ResponseEnd
    /// Ends the request that is under way, because the proxy is shutting down.
    func cancel()
}
