import Synchronization
public import TunnelAPI
import TunnelCore

/// Carries a client's requests to a ``FakeTunnelsAPI`` in the same process, and fails as a network does.
///
/// Nothing waits: a request that is never answered times out at once, and ``pause(_:)`` returns at once.
public final class FakeTransport: HTTPTransport {
    public let api: FakeTunnelsAPI
    private let waited = Mutex<[Duration]>([])

    public init(_ api: FakeTunnelsAPI) { self.api = api }

    /// How long the client wanted to wait between attempts, each time.
    public var pauses: [Duration] { waited.withLock { $0 } }

    public func pause(_ duration: Duration) async { waited.withLock { $0.append(duration) } }

    public func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
        switch api.answer(try FakeTransport.received(request)) {
        case .response(let response):
            guard response.body.count <= request.maxResponseBytes else {
                throw TransportError(
                    .tooLarge, "the response has over \(request.maxResponseBytes) bytes", mayHaveBeenReceived: true)
            }
            return response
        case .truncated: throw FakeTransport.closed
        case .drop: throw FakeTransport.closed
        case .stall:
            throw TransportError(.timedOut, "no response in \(request.timeout)", mayHaveBeenReceived: true)
        case .refuse: throw TransportError(.connect, "\(request.service.authority): connection refused")
        }
    }

    /// To a client it is one whether the request took effect or not.
    private static let closed = TransportError(
        .closed, "the connection ended before the response did", mayHaveBeenReceived: true)

    /// The request as a server would read it.
    private static func received(_ request: HTTPRequest) throws(TransportError) -> FakeRequest {
        let own = ["host", "content-length", "connection", "authorization", "transfer-encoding"]
        var fields = [HTTPField("Host", request.service.authority)]
        if let token = request.bearerToken { fields.append(HTTPField("Authorization", "Bearer \(token.reveal())")) }
        if let body = request.body { fields.append(HTTPField("Content-Length", "\(body.count)")) }
        guard !request.fields.contains(where: { own.contains($0.name.lowercased()) }) else {
            throw TransportError(.invalidRequest, "a field that the transport writes itself")
        }
        fields += request.fields
        let isClean = fields.allSatisfy { field in
            !field.name.isEmpty && field.name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x3A }
                && field.value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
        }
        guard isClean, request.target.first == "/", request.target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw TransportError(.invalidRequest, "a field or a target that cannot be put on the wire")
        }
        return FakeRequest(
            request.method, request.service.prefix + request.target, fields: fields, body: request.body ?? [])
    }
}
