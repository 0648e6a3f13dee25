import TunnelTestSupport
import Testing
import TunnelCore
import TunnelIO
import TunnelTLS

@testable import TunnelAPI

/// What no error may show.
let secret = "hush-hush"

extension ScriptedServer {
    var plain: HTTPEndpoint { HTTPEndpoint(isSecure: false, host: "127.0.0.1", port: port) }
    var secure: HTTPEndpoint { HTTPEndpoint(isSecure: true, host: "localhost", port: port) }

    /// As a proxy on the way to `localhost`, whose part the script then takes too.
    func proxied(_ authorization: Secret? = nil) -> HTTPEndpoint {
        HTTPEndpoint(
            isSecure: true, host: "localhost", port: 443,
            proxy: HTTPProxy(host: "127.0.0.1", port: port, authorization: authorization))
    }

    /// The same, reached in TLS.
    func proxiedInTLS(
        _ authorization: Secret? = nil, proxy: String = "localhost", server: String = "localhost"
    ) -> HTTPEndpoint {
        HTTPEndpoint(
            isSecure: true, host: server, port: 443,
            proxy: HTTPProxy(isSecure: true, host: proxy, port: port, authorization: authorization))
    }
}

/// Sends one request by the loop's client. Whoever vouches for the server vouches for a proxy too.
func request(
    _ endpoint: HTTPEndpoint, _ method: String = "GET", body: [UInt8]? = nil, tls: TLSClientContext? = nil,
    timeout: Duration = .seconds(15), limit: Int = 1 << 20, isRepeatable: Bool = true, on loop: isolated Loop
) async throws(TransportError) -> HTTPResponse {
    // A service in plain is on this machine, whatever the endpoint is.
    let address = endpoint.isSecure ? "https://\(endpoint)" : "http://127.0.0.1:\(endpoint.port)"
    guard let service = try? ServiceURL(address) else { throw TransportError(.invalidRequest, "no service") }
    let request = HTTPRequest(
        method, service, "/x?y=1", bearerToken: Secret(secret), body: body, timeout: timeout, maxResponseBytes: limit,
        isRepeatable: isRepeatable)
    return try await loop.reactor.resident(HTTPClient.self).send(request, to: endpoint, tls: tls, proxyTLS: tls)
}

/// The body of the response to one request on a loop of its own.
func bodyText(
    _ endpoint: HTTPEndpoint, _ method: String = "GET", tls: TLSClientContext? = nil, limit: Int = 1 << 20
) throws -> String {
    try onLoop { loop in
        String(
            decoding: try await request(endpoint, method, tls: tls, limit: limit, on: loop).body, as: UTF8.self)
    }
}

/// Why one request on a loop of its own got no response.
func failure(
    _ endpoint: HTTPEndpoint, _ method: String = "GET", body: [UInt8]? = nil, tls: TLSClientContext? = nil,
    timeout: Duration = .seconds(15), limit: Int = 1 << 20, isRepeatable: Bool = true
) throws -> TransportError {
    let error = try onLoop { loop in
        do throws(TransportError) {
            _ = try await request(
                endpoint, method, body: body, tls: tls, timeout: timeout, limit: limit, isRepeatable: isRepeatable,
                on: loop)
            return nil as TransportError?
        } catch { return error }
    }
    let failure = try #require(error)
    #expect(!"\(failure)".contains(secret))
    return failure
}

/// A failure without its text.
struct ExpectedFailure {
    let code: TransportError.Code
    let stage: TransportError.Stage
    let isReceived: Bool

    static func == (error: TransportError?, expected: ExpectedFailure) -> Bool {
        error?.code == expected.code && error?.stage == expected.stage
            && error?.mayHaveBeenReceived == expected.isReceived
    }
}

func failed(
    _ code: TransportError.Code, _ stage: TransportError.Stage, received isReceived: Bool = false
) -> ExpectedFailure { ExpectedFailure(code: code, stage: stage, isReceived: isReceived) }
