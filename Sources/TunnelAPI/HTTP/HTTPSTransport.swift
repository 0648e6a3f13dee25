internal import Synchronization
internal import TunnelCore
package import TunnelIO
internal import TunnelTLS

/// Whose signature on a server's certificate is accepted.
@nonexhaustive
public enum TransportTrust: Sendable {
    /// The system's store: what SSL_CERT_FILE and SSL_CERT_DIR name, else the distribution's bundle.
    case system
    /// These certificates only: a bundle in PEM. A proxy that is reached in TLS may also be vouched for by the system's.
    case pem([UInt8])
}

/// Carries requests over HTTP/1.1: in TLS to whoever proves its name, in plain to this machine only.
///
/// Connections are kept for half a minute and used again for repeatable requests, but for those through a proxy that is
/// reached in TLS. A request ends by its response or its
/// time-out; cancelling the task that waits has no effect on it.
public final class HTTPSTransport: HTTPTransport, Sendable {
    package let loop: Loop
    /// The thread of `loop`, when it is our own.
    private let thread: LoopGroup?
    private let trust: TransportTrust
    private let proxies: ProxySettings
    /// Made at the first request that needs it.
    private let tls = Mutex<TLSClientContext?>(nil)
    /// For proxies that are reached in TLS. Made as late.
    private let proxyTLS = Mutex<TLSClientContext?>(nil)

    /// A transport with a thread of its own, which ends with this object.
    ///
    /// The certificates of `trust` are read at the first request in TLS. Later changes of their files are not seen: make
    /// another transport.
    ///
    /// - Throws: `.system` when the kernel gives no thread or descriptor.
    public init(trust: TransportTrust = .system, proxies: ProxySettings = ProxySettings()) throws(TransportError) {
        let thread: LoopGroup
        do throws(IOError) { thread = try LoopGroup(count: 1) } catch {
            throw TransportError(.system, "start a thread for connections: \(error)")
        }
        (self.thread, loop) = (thread, thread.loops[0])
        (self.trust, self.proxies) = (trust, proxies)
    }

    /// A transport on a loop that somebody runs for as long as requests are sent; the sender's own, perhaps.
    package init(loop: Loop, trust: TransportTrust = .system, proxies: ProxySettings = ProxySettings()) {
        (thread, self.loop) = (nil, loop)
        (self.trust, self.proxies) = (trust, proxies)
    }

    /// The last reference may go in a task of the loop, which cannot wait for its own end.
    deinit { thread?.abandon() }

    public func pause(_ duration: Duration) async { await loop.pause(duration) }

    public func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
        let endpoint = HTTPEndpoint(request.service, proxy: proxies.proxy(for: request.service))
        // The one way from any task to the loop and back. The loop resumes it in every case, for each request ends by
        // its deadline at the latest.
        let result: Result<HTTPResponse, TransportError> = await withUnsafeContinuation { continuation in
            loop.spawn { loop in
                let result = await self.perform(request, endpoint, on: loop)
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }

    private func perform(
        _ request: HTTPRequest, _ endpoint: HTTPEndpoint, on loop: isolated Loop
    ) async -> Result<HTTPResponse, TransportError> {
        do throws(TransportError) {
            let context = endpoint.isSecure ? try clientContext() : nil
            let proxyContext = endpoint.proxy?.isSecure == true ? try proxyContext() : nil
            let client = loop.reactor.resident(HTTPClient.self)
            return .success(try await client.send(request, to: endpoint, tls: context, proxyTLS: proxyContext))
        } catch { return .failure(error) }
    }

    private func clientContext() throws(TransportError) -> TLSClientContext {
        try Self.context(in: tls) { () throws(TLSError) in
            switch trust {
            case .system: try TrustStore(includingSystem: true)
            case .pem(let bytes): try TrustStore(pem: bytes)
            }
        }
    }

    private func proxyContext() throws(TransportError) -> TLSClientContext {
        guard case .pem(let bytes) = trust else { return try clientContext() }
        return try Self.context(in: proxyTLS) { () throws(TLSError) in
            try TrustStore(pem: bytes, includingSystem: true)
        }
    }

    /// A failure is not remembered: the file may be there the next time.
    private static func context(
        in cell: borrowing Mutex<TLSClientContext?>, _ anchors: () throws(TLSError) -> TrustStore
    ) throws(TransportError) -> TLSClientContext {
        do throws(TLSError) {
            return try cell.withLock { cell throws(TLSError) in
                if let cell { return cell }
                let context = try TLSClientContext(trust: anchors(), options: TLSClientOptions(alpn: ["http/1.1"]))
                cell = context
                return context
            }
        } catch { throw TransportError(.tls, error.description) }
    }
}
