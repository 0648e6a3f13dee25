import Testing
import TunnelAPI
import TunnelCore
import TunnelIO

/// Requests to real servers, from a loop of the transport's own and from the sender's loop.
@Suite struct HTTPSTransportTests {
    /// Whose thread the connections are on.
    enum LoopKind: CaseIterable { case own, senders }

    private static let secret = "hush-hush"

    /// Sends requests one after another by one transport.
    private func send(
        _ requests: HTTPRequest..., kind: LoopKind, trust: TransportTrust = .pem(ServerCertificates.pem("ca")),
        proxies: ProxySettings = ProxySettings()
    ) async throws -> [Result<HTTPResponse, TransportError>] {
        _ = ServerCertificates.authority
        switch kind {
        case .own:
            return await Self.send(requests, try HTTPSTransport(trust: trust, proxies: proxies))
        case .senders:
            let group = try LoopGroup(count: 1)
            defer { group.stop() }
            let transport = HTTPSTransport(loop: group.loops[0], trust: trust, proxies: proxies)
            return await withCheckedContinuation { continuation in
                group.loops[0].spawn { _ in continuation.resume(returning: await Self.send(requests, transport)) }
            }
        }
    }

    private static func send(
        _ requests: [HTTPRequest], _ transport: HTTPSTransport
    ) async -> [Result<HTTPResponse, TransportError>] {
        var results: [Result<HTTPResponse, TransportError>] = []
        for request in requests {
            do throws(TransportError) { results.append(.success(try await transport.send(request))) } catch {
                #expect(!"\(error)\(String(reflecting: error))".contains(secret))
                results.append(.failure(error))
            }
        }
        return results
    }

    private func failure(_ result: Result<HTTPResponse, TransportError>) throws -> TransportError {
        guard case .failure(let error) = result else { throw TransportError(.malformed, "it succeeded") }
        return error
    }

    private func get(_ service: String, _ target: String = "/") throws -> HTTPRequest {
        HTTPRequest("GET", try ServiceURL(service), target, bearerToken: Secret(Self.secret), timeout: .seconds(20))
    }

    // MARK: TLS

    @Test(arguments: LoopKind.allCases, ["-tls1_2", "-tls1_3"])
    func aServerThatProvesItsNameAnswers(_ kind: LoopKind, _ version: String) async throws {
        let server = try OpenSSLServer(ServerCertificates.localhost, version, "-alpn", "http/1.1")
        let response = try await send(get("https://localhost:\(server.port)"), kind: kind)[0].get()
        #expect(response.status == 200 && response.first("content-type") == "text/html")
        #expect(String(decoding: response.body, as: UTF8.self).contains("</HTML>"))
    }

    /// The server knows another protocol only, which it could not tell if none were named.
    @Test func namesItsProtocolInTheHandshake() async throws {
        let server = try OpenSSLServer(ServerCertificates.localhost, "-alpn", "h2")
        let error = try failure(await send(get("https://localhost:\(server.port)"), kind: .own)[0])
        #expect(error == TransportError(.tls, "") && error.reason.contains("no application protocol"))
    }

    static let refusals: [(certificate: String, trust: String, reason: String)] = [
        (ServerCertificates.otherName, "ca", "hostname mismatch"),
        (ServerCertificates.expired, "ca", "certificate has expired"),
        (ServerCertificates.stranger, "ca", "self-signed certificate"),
        (ServerCertificates.localhost, "stranger", "unable to get local issuer certificate"),
    ]

    @Test(arguments: LoopKind.allCases, refusals) func aServerThatDoesNotProveItsNameIsRefused(
        _ kind: LoopKind, _ row: (certificate: String, trust: String, reason: String)
    ) async throws {
        let server = try OpenSSLServer(row.certificate)
        _ = (ServerCertificates.authority, ServerCertificates.stranger)
        let error = try failure(
            await send(
                get("https://localhost:\(server.port)"), kind: kind, trust: .pem(ServerCertificates.pem(row.trust)))[0])
        #expect(error == TransportError(.tls, "") && !error.mayHaveBeenReceived)
        #expect(error.reason.hasPrefix("TLS handshake with localhost:\(server.port): "))
        #expect(error.reason.contains(row.reason))
    }

    /// Whoever asks in plain, or asks nothing, does not need a file that may be missing.
    @Test(arguments: LoopKind.allCases)
    func anchorsAreReadByTheFirstRequestInTLS(_ kind: LoopKind) async throws {
        let port = try freePort()
        let results = try await send(
            get("http://127.0.0.1:\(port)"), get("https://127.0.0.1:\(port)"), kind: kind,
            trust: .pem(Array("no certificate".utf8)))
        #expect(try failure(results[0]).code == .connect)
        let error = try failure(results[1])
        #expect(error == TransportError(.tls, ""))
        #expect(error.reason.hasSuffix("no CERTIFICATE in the file"))
    }

    // MARK: The request

    @Test(.enabled(if: NginxServer.isInstalled), arguments: LoopKind.allCases)
    func everyRequestHasItsFields(_ kind: LoopKind) async throws {
        let server = try NginxServer(ServerCertificates.localhost)
        let service = try ServiceURL("https://LOCALHOST:\(server.port)/base/")
        let results = try await send(
            HTTPRequest("GET", service, "/a%20b?c=d", bearerToken: Secret("t0ken")),
            HTTPRequest(
                "POST", service, "/", fields: [HTTPField("user-agent", "me"), HTTPField("ACCEPT", "text/plain")],
                body: Array("{}".utf8), isRepeatable: false),
            HTTPRequest("GET", service, "/", fields: [HTTPField("X-Test", "1")]), kind: kind)
        let bodies = try results.map { String(decoding: try $0.get().body, as: UTF8.self) }
        let host = "localhost:\(server.port)"
        let agent = "mcp-tunnel/\(TunnelAPIVersion.current)"
        #expect(
            bodies == [
                "1|GET|/base/a%20b?c=d|\(host)|\(agent)|application/json|Bearer t0ken||",
                // On a connection of its own, which is not the one that was kept.
                "1|POST|/base/|\(host)|me|text/plain|||2|".replacing("|||2", with: "||2"),
                // And this one on the kept connection that was used last.
                "2|GET|/base/|\(host)|\(agent)|application/json|||1",
            ])
    }

    static let refusedRequests: [(fields: [HTTPField], token: String?, target: String, reason: String)] = [
        ([HTTPField("Authorization", "x")], nil, "/", "Authorization is not the caller's to set"),
        ([HTTPField("host", "x")], nil, "/", "host is not the caller's to set"),
        ([HTTPField("a b", "x")], nil, "/", "a field's name is not a token (RFC 9110 5.1)"),
        ([HTTPField("A", "hush-hush\r\nB: c")], nil, "/", "the value of A holds a control character (RFC 9110 5.5)"),
        ([], "hush-hush\n", "/", "the bearer token is empty, too long, or holds a space or a control character"),
        ([], "", "/", "the bearer token is empty, too long, or holds a space or a control character"),
        ([], "hush hush", "/", "the bearer token is empty, too long, or holds a space or a control character"),
        ([], nil, "/a b", "the target is not a path with percent-encoding (RFC 9112 3.2.1)"),
    ]

    @Test(arguments: refusedRequests) func whatCannotBeSentIsRefused(
        _ row: (fields: [HTTPField], token: String?, target: String, reason: String)
    ) async throws {
        let request = HTTPRequest(
            "GET", try ServiceURL("https://api.example"), row.target, fields: row.fields,
            bearerToken: row.token.map { Secret($0) })
        let error = try failure(await send(request, kind: .own)[0])
        #expect(error == TransportError(.invalidRequest, "") && error.reason.hasSuffix(": \(row.reason)"))
    }

    @Test func aTargetMustBeginBehindThePrefix() async throws {
        let request = HTTPRequest("GET", try ServiceURL("https://api.example/v1"), "x")
        #expect(try failure(await send(request, kind: .own)[0]).code == .invalidRequest)
    }

    /// The response's size is the caller's choice: one more than allowed is refused.
    @Test(.enabled(if: NginxServer.isInstalled)) func theLimitAndTheTimeOutAreTheRequests() async throws {
        let server = try NginxServer(ServerCertificates.localhost)
        var request = HTTPRequest("GET", try ServiceURL("https://localhost:\(server.port)"), "/")
        let count = try await send(request, kind: .own)[0].get().body.count
        request.maxResponseBytes = count
        #expect(try await send(request, kind: .own)[0].get().body.count == count)
        request.maxResponseBytes = count - 1
        let error = try failure(await send(request, kind: .own)[0])
        #expect(error == TransportError(.tooLarge, "", mayHaveBeenReceived: true) && error.mayHaveBeenReceived)
        // Answered from what the kernel holds, or not: there is no time to wait.
        request.timeout = .zero
        #expect(try failure(await send(request, kind: .own)[0]).code == .timedOut)
    }

    // MARK: Proxies

    @Test(arguments: LoopKind.allCases) func aProxyLeadsToTheServer(_ kind: LoopKind) async throws {
        let server = try OpenSSLServer(ServerCertificates.behindProxy)
        // user:p@ss:hush-hush
        let proxy = try ConnectProxy(to: server.port, credentials: "Basic dXNlcjpwQHNzOmh1c2gtaHVzaA==")
        let proxies = try ProxySettings(environment: [
            "HTTPS_PROXY": "http://user:p%40ss:hush-hush@127.0.0.1:\(proxy.port)", "NO_PROXY": "other.example",
        ])
        let response = try await send(get("https://api.example:8443"), kind: kind, proxies: proxies)[0].get()
        #expect(response.status == 200)
        let head = try #require(proxy.requests.first)
        #expect(head.hasPrefix("CONNECT api.example:8443 HTTP/1.1\r\nHost: api.example:8443\r\nProxy-Authorization: "))
        #expect(!head.contains("Bearer"))
    }

    @Test func aProxyThatWantsOtherCredentialsIsTold() async throws {
        let proxy = try ConnectProxy(to: 1, credentials: "Basic other")
        let proxies = try ProxySettings(environment: ["https_proxy": "user:hush-hush@127.0.0.1:\(proxy.port)"])
        let error = try failure(await send(get("https://api.example"), kind: .own, proxies: proxies)[0])
        #expect(error == TransportError(.proxy, "") && !error.mayHaveBeenReceived)
        #expect(
            error.reason == "CONNECT through the proxy 127.0.0.1:\(proxy.port): refused to connect to api.example:443"
                + " with status 407: it does not take this user name and password")
    }

    /// nginx stands in for one: it takes TLS, and refuses CONNECT.
    @Test(.enabled(if: NginxServer.isInstalled), arguments: LoopKind.allCases)
    func aProxyInTLSIsVerifiedAsTheServerIs(_ kind: LoopKind) async throws {
        let proxy = try NginxServer(ServerCertificates.localhost)
        let proxies = try ProxySettings(environment: ["HTTPS_PROXY": "https://u:hush-hush@localhost:\(proxy.port)"])
        _ = ServerCertificates.stranger
        for (ca, stage) in [("ca", TransportError.Stage.proxy), ("stranger", .proxyHandshake)] {
            let results = try await send(
                get("https://api.example"), kind: kind, trust: .pem(ServerCertificates.pem(ca)), proxies: proxies)
            let error = try failure(results[0])
            #expect(error.stage == stage && !error.mayHaveBeenReceived)
            #expect(error.code == (ca == "ca" ? .proxy : .tls))
            #expect(error.reason.contains("the proxy localhost:\(proxy.port): "))
        }
    }

    // MARK: The transport's end

    /// Its thread ends with it, also where the last reference goes on that thread.
    @Test func theThreadEndsWithTheTransport() async throws {
        weak var weakLoop: Loop?
        do {
            let transport = try HTTPSTransport()
            weakLoop = transport.loop
            #expect(weakLoop != nil)
            _ = try? await transport.send(get("http://127.0.0.1:\(freePort())"))
        }
        let pause = ThreadSignal()
        for _ in 0..<2_000 where weakLoop != nil { _ = pause.wait(milliseconds: 10) }
        #expect(weakLoop == nil)
    }
}
