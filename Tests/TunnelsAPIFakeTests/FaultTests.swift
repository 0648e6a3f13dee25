import Testing
import TunnelAPI
import TunnelCore
import TunnelsAPIFake

/// What can be made to go wrong, and the record of it, through the transport that clients' tests use.
@Suite struct FaultTests {
    private let client: FakeClient
    private let transport: FakeTransport
    private var api: FakeTunnelsAPI { client.api }

    init() throws {
        client = try FakeClient(FakeClient.api())
        transport = FakeTransport(client.api)
    }

    private func send(
        _ method: String = "POST", _ target: String = "/v1/tunnels", _ body: String? = "{}", limit: Int = 1 << 20
    ) async throws(TransportError) -> HTTPResponse {
        guard let service = try? ServiceURL("http://127.0.0.1:8790") else {
            throw TransportError(.invalidRequest, "not an address")
        }
        return try await transport.send(
            HTTPRequest(
                method, service, target, fields: client.fields.filter { $0.name != "Authorization" },
                bearerToken: Secret(client.token), body: body.map { Array($0.utf8) }, maxResponseBytes: limit))
    }

    private func failure(_ body: () async throws(TransportError) -> HTTPResponse) async -> TransportError? {
        do throws(TransportError) {
            _ = try await body()
            return nil
        } catch { return error }
    }

    /// Kind, whether the request takes effect, what the client sees, and whether it may have been received.
    @Test(arguments: [
        (FakeFault.Kind.refuse, false, TransportError.Code.connect, false), (.dropBefore, false, .closed, true),
        (.dropAfter, true, .closed, true), (.dropMidBody, true, .closed, true), (.stall, false, .timedOut, true),
        (.oversizedBody, true, .tooLarge, true),
    ])
    func aNetworkThatFails(
        _ kind: FakeFault.Kind, _ acts: Bool, _ code: TransportError.Code, _ mayHaveBeenReceived: Bool
    ) async throws {
        api.fail(FakeFault(kind))
        let error = await failure { () async throws(TransportError) in try await send() }
        #expect(error?.code == code && error?.mayHaveBeenReceived == mayHaveBeenReceived)
        #expect(api.tunnels.count == (acts ? 1 : 0))
        #expect(try await send().status == 200, "once is once")
        let record = api.requests.dropFirst().first
        #expect(record?.fault == (kind == .refuse ? nil : kind), "what is refused never arrived")
        #expect(kind == .refuse || record?.wasActedOn == acts)
    }

    @Test func anAnswerThatIsNoJSON() async throws {
        api.fail(FakeFault(.malformedJSON))
        let cut = try await send()
        #expect(cut.status == 200 && (try? FakeJSON(parsing: cut.body)) == nil && api.tunnels.count == 1)
        api.fail(FakeFault(.html))
        let page = try await send()
        #expect(page.status == 502 && page.first("content-type") == "text/html; charset=UTF-8")
        #expect(String(decoding: page.body, as: UTF8.self).hasPrefix("<!DOCTYPE html>") && api.tunnels.count == 1)
    }

    @Test func anAnswerThatIsTooLong() async throws {
        var fault = FakeFault(.oversizedBody, times: 2)
        fault.bytes = 5000
        api.fail(fault)
        #expect(try await send(limit: 5000).body.count == 5000)
        #expect(await failure { () async throws(TransportError) in try await send(limit: 4999) }?.code == .tooLarge)
    }

    @Test(arguments: [
        (400, "invalid_request_error"), (401, "authentication_error"), (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"), (408, "invalid_request_error"), (409, "conflict_error"), (413, "request_too_large"),
        (429, "rate_limit_error"), (500, "api_error"), (503, "api_error"), (504, "timeout_error"),
        (529, "overloaded_error"),
    ])
    func aStatusWithItsType(_ status: Int, _ type: String) async throws {
        api.fail(.answer(status, times: 2, retryAfter: "3", shouldRetry: false))
        for _ in 0..<2 {
            let response = try await send()
            let json = try FakeJSON(parsing: response.body)
            #expect(response.status == status && json["error"]?["type"]?.text == type)
            #expect(response.first("retry-after") == "3" && response.first("x-should-retry") == "false")
            #expect(json["request_id"]?.text == response.first("request-id"))
        }
        #expect(try await send().status == 200 && api.tunnels.count == 1)
    }

    @Test func anErrorAfterTheEffect() async throws {
        api.fail(.answer(500, acts: true))
        #expect(try await send().status == 500 && api.tunnels.count == 1)
    }

    @Test func anEchoHoldsTheSecrets() async throws {
        api.fail(FakeFault(.echo))
        let text = String(
            decoding: try await send("POST", "/v1/tunnels", #"{"display_name":"s3cret"}"#).body, as: UTF8.self)
        #expect(text.contains("s3cret") && text.contains(client.token) && api.tunnels.isEmpty)
    }

    /// Method and path of the fault, and which of three requests it takes.
    static let patterns: [(method: String?, path: String?, taken: String?)] = [
        (nil, nil, "GET /v1/tunnels"), ("POST", nil, "POST /v1/tunnels"), (nil, "/v1/tunnels", "GET /v1/tunnels"),
        ("POST", "/v1/tunnels/*/archive", "POST /v1/tunnels/tnl_x/archive"),
        (nil, "/v1/tunnels/**", "GET /v1/tunnels"), ("GET", "/v1/tunnels/*", nil), (nil, "/v1", nil),
        ("POST", "/v1/tunnels/**", "POST /v1/tunnels"), (nil, "/v1/*/tnl_x/**", "POST /v1/tunnels/tnl_x/archive"),
        (nil, "/v1/tunnels/*/archive/**", "POST /v1/tunnels/tnl_x/archive"),
    ]

    @Test(arguments: patterns)
    func whatAFaultIsFor(_ row: (method: String?, path: String?, taken: String?)) async throws {
        api.fail(.answer(529, row.method, row.path))
        var failed: String?
        for (method, target) in [
            ("GET", "/v1/tunnels?limit=3"), ("POST", "/v1/tunnels"), ("POST", "/v1/tunnels/tnl_x/archive"),
        ] where try await send(method, target, method == "GET" ? nil : "{}").status == 529 {
            #expect(failed == nil)
            failed = "\(method) \(target.prefix { $0 != "?" })"
        }
        #expect(failed == row.taken && api.faults.count == (row.taken == nil ? 1 : 0))
        api.removeFaults()
        #expect(api.faults.isEmpty)
    }

    @Test func faultsQueueAndSkip() async throws {
        api.fail(FakeFault(.answer, skip: 2))
        api.fail(.answer(429))
        var seen: [Int] = []
        for _ in 0..<4 { seen.append(try await send("GET", "/v1/tunnels", nil).status) }
        #expect(seen == [429, 200, 500, 200])
    }

    @Test func faultsHaveALimit() {
        for _ in 0..<FakeFault.maxWaiting { #expect(api.fail(FakeFault(.stall))) }
        #expect(!api.fail(FakeFault(.stall)))
    }

    @Test func pausesAreRecordedAndReturnAtOnce() async {
        await transport.pause(.seconds(3600))
        await transport.pause(.milliseconds(5))
        #expect(transport.pauses == [.seconds(3600), .milliseconds(5)])
    }

    @Test func requestsAreRecordedWithTheirSecrets() async throws {
        _ = try await send("POST", "/v1/tunnels?beta=true", #"{"display_name":"x"}"#)
        let record = try #require(api.requests.last)
        #expect(record.method == "POST" && record.path == "/v1/tunnels" && record.target.hasSuffix("?beta=true"))
        #expect(record.first("authorization") == "Bearer \(client.token)" && record.first("host") == "127.0.0.1:8790")
        #expect(record.json == ["display_name": "x"] && record.status == 200 && record.wasActedOn)
        #expect(record.first("content-length") == "20")
    }

    @Test func recordsHaveALimit() async throws {
        var request = client.request("POST", "")
        request.body = [UInt8](repeating: 0x20, count: FakeRecord.maxBodyBytes + 1)
        _ = api.answer(request)
        #expect(api.requests.last?.body.count == FakeRecord.maxBodyBytes)
        let first = try #require(api.requests.last?.requestID)
        for _ in 0..<1999 { _ = api.answer(client.request("GET", "")) }
        #expect(api.requests.count == 2000 && api.requests.first?.requestID == first)
        _ = api.answer(client.request("GET", ""))
        #expect(api.requests.count == 2000 && api.requests.first?.requestID != first)
    }

    @Test func whatCannotGoOnTheWire() async throws {
        for target in ["v1/tunnels", "/v1/tunnels x", "/v1/\u{7F}", ""] {
            let error = await failure { () async throws(TransportError) in try await send("GET", target, nil) }
            #expect(error?.code == .invalidRequest, "\(target)")
        }
        let service = try ServiceURL("http://127.0.0.1:8790")
        for field in [
            HTTPField("Host", "x"), HTTPField("authorization", "x"), HTTPField("x", "a\r\nb"), HTTPField("", ""),
        ] {
            let error = await failure { () async throws(TransportError) in
                try await transport.send(HTTPRequest("GET", service, "/", fields: [field]))
            }
            #expect(error?.code == .invalidRequest)
        }
        #expect(api.requests.count == 1, "only the exchange arrived")
    }
}
