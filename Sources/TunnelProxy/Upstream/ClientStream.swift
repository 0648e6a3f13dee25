internal import TunnelCore
internal import TunnelIO

/// What moving a piece of a body gave.
enum BodyProgress: Equatable {
    case moved(Int)
    /// Nothing is there now.
    case nothing
    /// All of it has been moved before.
    case end
}

/// How far an upstream is with the head of its response.
enum ResponseProgress: Equatable {
    /// A 1xx head is at the front; there may be more behind it.
    case interim
    /// The final head, or a 101, is at the front.
    case final
    case nothing
}

/// Why there is no response, or no more of it.
// Indirect, as all that waits for a response has room for one in its frame.
indirect enum ClientStreamError: Error, Equatable {
    /// The connection ended before a byte of a response came.
    case unanswered(IOError)
    /// It ended, or failed, after some.
    case broken(IOError)
    case malformed(HTTPError)
    /// The upstream says that it has done nothing with the request, so any may be sent once more (RFC 9113 §8.7).
    case unprocessed(IOError)

    /// It ended, and nothing says that it failed.
    var isEndOfStream: Bool {
        if case .broken(let error) = self { error.code == .endOfStream } else { false }
    }

    static func == (a: Self, b: Self) -> Bool {
        switch (a, b) {
        case (.unanswered(let x), .unanswered(let y)), (.broken(let x), .broken(let y)),
            (.unprocessed(let x), .unprocessed(let y)):
            x == y
        case (.malformed(let x), .malformed(let y)): x == y
        default: false
        }
    }

    var reason: String {
        switch self {
        case .unanswered(let error), .broken(let error), .unprocessed(let error): error.description
        case .malformed(let error): error.reason
        }
    }
}

/// What a request's head becomes on its way to an upstream.
struct ForwardingRules {
    let host: HostRule
    let framing: BodyFraming
    let passesUpgrade: Bool
    let forwarded: ForwardedFields?
    /// The head came by another version of HTTP, and is looked at once more where it becomes lines of HTTP/1.1.
    var isTranslated = false
}

/// One request and its response on an upstream's side, whatever carries them: all that an exchange sees of an upstream.
///
/// Sending gathers as in a server stream, and ``push()`` sends.
protocol ClientStream: AnyObject {
    /// The address that was dialled.
    var address: SocketAddress { get }
    /// The connection carried requests before, so it may have died meanwhile.
    var isReused: Bool { get }
    /// The upstream has a way to say that it did nothing with a request: ``ClientStreamError/unprocessed(_:)``.
    var mayRefuse: Bool { get }

    // MARK: The request

    /// - Parameter lines: of ours, in place of what has the same names.
    func sendHead(
        _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ rules: ForwardingRules,
        adding lines: borrowing AddedLines)
    func sendBody(_ bytes: UnsafeRawBufferPointer)
    func endBody(trailers: [UInt8])
    func push() -> Room
    /// Waits until the upstream takes more, however long that is.
    ///
    /// - Throws: when it is gone.
    func flush() async throws(IOError)
    /// Bytes of the request wait for the upstream's leave. What a kernel has taken does not count.
    var hasUnsent: Bool { get }
    /// A pipe's client has said its last byte: the upstream gets it, and the end behind it.
    func finishSending()
    /// Bytes that the upstream's machine has not taken.
    var unacknowledged: Int { get }

    // MARK: The response

    /// Reads towards the next head.
    ///
    /// - Parameter method: of the request, which decides whether there is a body.
    func receiveHead(_ method: Method, _ limits: HeadLimits) throws(ClientStreamError) -> ResponseProgress
    /// The head that was received last, and the bytes that its ranges lie in. Until ``releaseHead()``.
    func withHead(_ body: (inout ResponseHead, Span<UInt8>) -> Void)
    /// The head was passed on.
    func releaseHead()
    /// What a response says about the bytes behind its head, or a 101: without an end of their own.
    func becomePipe()
    /// Hands the next piece of the body to `deliver`, at most once; the buffer's first bytes are the piece.
    ///
    /// - Parameter isReading: `false` for what is here already.
    func receiveBody(
        isReading: Bool, limit: Int, _ deliver: (inout ByteBuffer, Int) -> Void
    ) throws(ClientStreamError) -> BodyProgress
    /// All of the body has been received.
    var isBodyComplete: Bool { get }
    var trailers: [UInt8] { get }
    /// Resumes `waiter` when there is something to read, or by ``wake()``; now where there is already.
    func resumeWhenReadable(_ waiter: UnsafeContinuation<Void, Never>)
    func wake()

    // MARK: The end

    /// The upstream left the connection open for another request.
    var isPersistent: Bool { get }
    /// Ends the connection in order; what waits for it fails with `reason`.
    func close(_ reason: IOError)
    /// Ends the connection although what was sent is not whole, and such that it cannot be taken for whole.
    func cut(_ reason: IOError)
    /// The last call: lets go of the connection.
    ///
    /// - Parameter keeps: for another request, if it can take one; otherwise it is closed.
    func finish(keeps: Bool)
}

extension ClientStream {
    /// Waits until there is something to read, or for ``wake()``.
    // Not a requirement, as in `ByteStream`.
    @inline(__always)
    func readable() async { await withUnsafeContinuation { resumeWhenReadable($0) } }
}
