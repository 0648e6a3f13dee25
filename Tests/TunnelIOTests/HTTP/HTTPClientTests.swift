import TunnelIO
import TunnelTLS
import Testing

/// Sends one request by the loop's client.
func request(
    _ endpoint: HTTPEndpoint, _ method: String = "GET", body: [UInt8]? = nil, tls: TLSClientContext? = nil,
    timeout: Duration = .seconds(15), limit: Int = 1 << 20, isRepeatable: Bool = true, on loop: isolated Loop
) async throws(HTTPClientError) -> IncomingAnswer {
    try await loop.reactor.httpClient.send(
        OutgoingRequest(method, "/x?y=1", fields: [("Authorization", "Bearer \(secret)")], body: body), to: endpoint,
        tls: tls, timeout: timeout, maxBodyBytes: limit, isRepeatable: isRepeatable)
}

/// What no error may show.
let secret = "hush-hush"

/// One request on a loop of its own that must fail.
func failure(
    _ endpoint: HTTPEndpoint, _ method: String = "GET", body: [UInt8]? = nil, tls: TLSClientContext? = nil,
    timeout: Duration = .seconds(15), limit: Int = 1 << 20
) throws -> HTTPClientError {
    let error = try onLoop { loop in
        do throws(HTTPClientError) {
            _ = try await request(endpoint, method, body: body, tls: tls, timeout: timeout, limit: limit, on: loop)
            return nil as HTTPClientError?
        } catch { return error }
    }
    let failure = try #require(error)
    #expect(!"\(failure)".contains(secret))
    return failure
}

/// What comes back, and in which framing.
@Suite struct HTTPClientTests {
    @Test func sendsHeadAndBodyAndReadsTheAnswer() throws {
        let seen = Box("")
        let server = try ScriptedServer { peer in
            let head = try peer.receiveHead()
            let body = String(decoding: peer.receive(exactly: 5), as: UTF8.self)
            peer.send(okay(head.replacing("\r\n", with: "|") + body))
        }
        seen.value = try onLoop { loop in
            let answer = try await request(server.endpoint(), "POST", body: Array("hello".utf8), on: loop)
            #expect(answer.status == 200)
            #expect(answer.fields.map(\.name) == ["Content-Length"])
            return String(decoding: answer.body, as: UTF8.self)
        }
        #expect(
            seen.value == "POST /x?y=1 HTTP/1.1|Host: \(server.address)|Authorization: Bearer \(secret)"
                + "|Content-Length: 5||hello")
        #expect(server.isDone())
    }
}
