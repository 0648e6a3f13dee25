internal import TunnelCore
internal import TunnelIO

/// Which connection a request may go out on, and whether it may go out once more.
extension Exchange {
    /// What the request asks of a connection to an upstream that may speak HTTP/2.
    @inline(never)
    func needs(_ server: any ServerStream, of route: Int) -> UpstreamNeeds {
        if snapshot.routes[route].upstream.scheme == .http { return [] }
        var needs: UpstreamNeeds = server.request.wantsWebSocket ? .webSocket : []
        server.withHead { head, _ in if head.bindsConnection { needs.insert(.ownConnection) } }
        return needs
    }

    /// To do it twice is as good as once, or it is not likely to have been done. A connection of HTTP/2 says what it did not
    /// do, so what was whole on it may have been done.
    func isRepeatable(_ server: any ServerStream, _ client: any ClientStream) -> Bool {
        server.request.method.isIdempotent || early.isEmpty && !(client.mayRefuse && server.isBodyComplete)
    }

    /// Whether a request that got no response on its connection may go to another one. All of it has to be at hand still.
    func isRetryable(_ error: ClientStreamError, _ server: any ServerStream, _ client: any ClientStream) -> Bool {
        guard stopped == nil, !hasUploaded else { return false }
        return switch error {
        case .unprocessed: true
        case .unanswered: client.isReused && isRepeatable(server, client)
        case .broken, .malformed: false
        }
    }
}
