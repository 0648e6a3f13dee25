import Testing
import TunnelCore

@testable import TunnelAPI

@Suite struct KubernetesSecretClientTests {
    static let token = "the-service-account-token"

    static func client(_ script: KubernetesScript) throws -> KubernetesSecretClient {
        try KubernetesSecretClient(
            service: ServiceURL("https://10.0.0.1"), namespace: "tunnels", name: "mcp-tunnel",
            credential: .token(Secret(token)), transport: script)
    }

    /// The error of reading against a script.
    static func readError(_ steps: [KubernetesScript.Step]) async throws -> KubernetesError {
        let client = try client(KubernetesScript(steps))
        return try #require(await #expect(throws: KubernetesError.self) { _ = try await client.read() })
    }

    // MARK: Requests

    @Test func readingAsksForOneSecret() async throws {
        let script = KubernetesScript([.secret(200, #"{"tunnel-id":"dC0x","other":"AAEC"}"#)])
        let secret = try #require(try await Self.client(script).read())
        #expect(secret.resourceVersion == "7" && !secret.isImmutable && secret.keys == ["other", "tunnel-id"])
        #expect(try secret.value("tunnel-id") == Array("t-1".utf8))
        #expect(try secret.value("other") == [0, 1, 2] && secret.value("none") == nil)
        #expect("\(secret) \(String(reflecting: secret))".contains("dC0x") == false)
        let request = try #require(script.requests.first)
        #expect(request.description == "GET https://10.0.0.1/api/v1/namespaces/tunnels/secrets/mcp-tunnel")
        #expect(request.fields == [HTTPField("Accept", "application/json")] && request.body == nil)
        #expect(request.bearerToken?.reveal() == Self.token && request.isRepeatable)
    }

    @Test func aSecretThatIsNotThereIsNil() async throws {
        let script = KubernetesScript([.refusal(404, "NotFound", #"secrets "mcp-tunnel" not found"#)])
        #expect(try await Self.client(script).read() == nil)
    }

    @Test func creatingSendsTheWholeSecret() async throws {
        let script = KubernetesScript([.secret(201)])
        let secret = try await Self.client(script).create(
            data: ["tls.key": [0xFF, 0xFE], "ca.crt": Array("a/b".utf8)], labels: ["app.kubernetes.io/managed-by": "x"])
        #expect(secret.resourceVersion == "7")
        let request = try #require(script.requests.first)
        #expect(
            request.description
                == "POST https://10.0.0.1/api/v1/namespaces/tunnels/secrets?fieldManager=mcp-tunnel-setup")
        #expect(request.fields.contains(HTTPField("Content-Type", "application/json")) && !request.isRepeatable)
        #expect(
            String(decoding: request.body ?? [], as: UTF8.self)
                == #"{"apiVersion":"v1","data":{"ca.crt":"YS9i","tls.key":"//4="},"kind":"Secret","#
                + #""metadata":{"labels":{"app.kubernetes.io/managed-by":"x"},"name":"mcp-tunnel","#
                + #""namespace":"tunnels"},"type":"Opaque"}"#)
    }

    /// RFC 7386: what is not named stays, `null` removes.
    @Test func changingSendsAMergePatchOfTheVersionThatWasRead() async throws {
        let script = KubernetesScript([.secret()])
        _ = try await Self.client(script).patch(
            data: ["tls.key": [0xFF], "setup-state.json": nil], resourceVersion: "41")
        let request = try #require(script.requests.first)
        #expect(
            request.description == "PATCH https://10.0.0.1/api/v1/namespaces/tunnels/secrets/mcp-tunnel"
                + "?fieldManager=mcp-tunnel-setup")
        #expect(request.fields.contains(HTTPField("Content-Type", "application/merge-patch+json")))
        #expect(!request.isRepeatable)
        #expect(
            String(decoding: request.body ?? [], as: UTF8.self)
                == #"{"data":{"setup-state.json":null,"tls.key":"/w=="},"metadata":{"resourceVersion":"41"}}"#)
    }

    static let names: [(name: String, isValid: Bool)] = [
        ("a", true), ("mcp-tunnel", true), ("a.b-c.0", true), ("0", true),
        (String(repeating: "a", count: 253), true), (String(repeating: "a", count: 254), false),
        ("", false), ("A", false), ("-a", false), ("a-", false), (".a", false), ("a.", false), ("a..b", false),
        ("a.-b", false), ("a_b", false), ("a/b", false), ("a b", false), ("ä", false), ("a\n", false), ("..", false),
    ]

    @Test(arguments: names) func namesAreSubdomains(_ name: String, _ isValid: Bool) throws {
        #expect(KubernetesSecretClient.isValidName(name) == isValid)
        let make = { (namespace: String, name: String) throws(KubernetesError) in
            _ = try KubernetesSecretClient(
                service: ServiceURL.local, namespace: namespace, name: name, credential: .token(Secret("t")),
                transport: KubernetesScript([]))
        }
        if isValid {
            try make("ns", name)
        } else {
            #expect(throws: KubernetesError(.invalidName, "", remedy: "")) { try make("ns", name) }
        }
        // A namespace is one label.
        if !isValid || name.contains(".") || name.count > 63 {
            #expect(throws: KubernetesError(.invalidName, "", remedy: "")) { try make(name, "n") }
        } else {
            try make(name, "n")
        }
        try make(String(repeating: "n", count: 63), "n")
        #expect(throws: KubernetesError.self) { try make(String(repeating: "n", count: 64), "n") }
    }

    // MARK: Tokens

    @Test func theTokenIsReadForEveryRequest() async throws {
        let file = try ServiceAccountFolder("first\n")
        let script = KubernetesScript([.secret(), .secret()])
        let client = try KubernetesSecretClient(
            service: .local, namespace: "tunnels", name: "mcp-tunnel", credential: .tokenFile(file.path),
            transport: script)
        _ = try await client.read()
        try file.write("second")
        _ = try await client.read()
        #expect(script.requests.map { $0.bearerToken?.reveal() } == ["first", "second"])
    }

    @Test func aTokenThatWasReplacedMeanwhileIsTriedAgain() async throws {
        let file = try ServiceAccountFolder("first")
        let unauthorized = KubernetesScript.Step.refusal(401, "Unauthorized", "Unauthorized")
        let script = KubernetesScript([unauthorized, .secret()]) { if $0 == 1 { try? file.write("second") } }
        let client = try KubernetesSecretClient(
            service: .local, namespace: "tunnels", name: "mcp-tunnel", credential: .tokenFile(file.path),
            transport: script)
        #expect(try await client.read() != nil)
        #expect(script.requests.map { $0.bearerToken?.reveal() } == ["first", "second"] && script.pauses.isEmpty)
    }

    @Test func aTokenThatIsNotAcceptedIsSentOnce() async throws {
        let script = KubernetesScript([.refusal(401, "Unauthorized", "Unauthorized")])
        let client = try Self.client(script)
        let error = await #expect(throws: KubernetesError.self) { _ = try await client.read() }
        #expect(error?.code == .unauthenticated && error?.status == 401 && script.requests.count == 1)
        #expect(error?.description.contains(Self.token) == false)
    }

    // MARK: Repetition

    @Test(arguments: [429, 500, 503, 504]) func aBusyServerIsAskedFiveTimes(_ status: Int) async throws {
        let busy = KubernetesScript.Step.refusal(status, "TooManyRequests", "please try again later")
        let patient = KubernetesScript([busy, busy, busy, busy, .secret()])
        #expect(try await Self.client(patient).read() != nil)
        // Half a second that doubles, less up to a quarter.
        for (pause, least) in zip(patient.pauses, [375, 750, 1500, 3000]) {
            #expect(pause >= .milliseconds(least) && pause <= .milliseconds(least * 4 / 3))
        }
        #expect(patient.pauses.count == 4)

        let failing = KubernetesScript(Array(repeating: busy, count: 6))
        let client = try Self.client(failing)
        let error = await #expect(throws: KubernetesError.self) { _ = try await client.read() }
        #expect(error?.code == (status == 429 ? .rateLimited : .server) && failing.requests.count == 5)
        #expect(error?.mayHaveBeenActedOn == false)
    }

    @Test func theServerSaysHowLongToWait() async throws {
        let wait = { (seconds: String) in
            KubernetesScript.Step.refusal(429, "TooManyRequests", "later", [HTTPField("Retry-After", seconds)])
        }
        let script = KubernetesScript([wait("1"), wait("30"), .secret()])
        #expect(try await Self.client(script).read() != nil)
        #expect(script.pauses == [.seconds(1), .seconds(30)])
        #expect(try await Self.readError([wait("31")]).code == .rateLimited)
    }

    static let failures: [(error: TransportError, isRepeated: Bool)] = [
        (TransportError(.connect, "connection refused"), true),
        (TransportError(.nameNotFound, "no such host"), true),
        (TransportError(.closed, "closed", mayHaveBeenReceived: true), true),
        (TransportError(.timedOut, "timed out", mayHaveBeenReceived: true), true),
        (TransportError(.tls, "certificate has another name"), false),
        (TransportError(.tooLarge, "too large", mayHaveBeenReceived: true), false),
        (TransportError(.malformed, "not HTTP", mayHaveBeenReceived: true), false),
    ]

    @Test(arguments: failures.indices) func aLostAnswerLeavesOpenWhetherAChangeWasMade(_ index: Int) async throws {
        let (error, isRepeated) = Self.failures[index]
        let taken = KubernetesScript.Step.refusal(409, "AlreadyExists", #"secrets "mcp-tunnel" already exists"#)
        let script = KubernetesScript([.failure(error), taken])
        let client = try Self.client(script)
        let failure = try #require(
            await #expect(throws: KubernetesError.self) { _ = try await client.create(data: [:]) })
        #expect(failure.code == (isRepeated ? .alreadyExists : .transport))
        #expect(script.isAtEnd == isRepeated)
        #expect(failure.mayHaveBeenActedOn == error.mayHaveBeenReceived)
        #expect(isRepeated || failure.reason == "cannot create secret mcp-tunnel in namespace tunnels: \(error.reason)")
        // Reading leaves nothing open.
        #expect(try await !Self.readError(Array(repeating: .failure(error), count: 5)).mayHaveBeenActedOn)
    }

    // MARK: Answers

    static let malformed = [
        "", "no JSON", "[]", #"{"metadata":{"name":"mcp-tunnel"}}"#,
        #"{"metadata":{"name":"mcp-tunnel","resourceVersion":""}}"#,
        #"{"kind":"ConfigMap","metadata":{"name":"mcp-tunnel","resourceVersion":"1"}}"#,
        #"{"metadata":{"name":"mcp-tunnel","resourceVersion":"1"},"data":["x"]}"#,
        // The answer to another question.
        #"{"kind":"Secret","metadata":{"name":"other","namespace":"tunnels","resourceVersion":"1"},"data":{}}"#,
        #"{"kind":"Secret","metadata":{"name":"mcp-tunnel","namespace":"other","resourceVersion":"1"},"data":{}}"#,
        String(repeating: "[", count: 100_000),
    ]

    @Test(arguments: malformed.indices) func aResponseThatIsNotThisSecretIsAnError(_ index: Int) async throws {
        let error = try await Self.readError([.json(200, Self.malformed[index])])
        #expect(error.code == .malformedResponse && error.status == 200 && !error.mayHaveBeenActedOn)
        let script = KubernetesScript([.json(200, Self.malformed[index])])
        let client = try Self.client(script)
        let open = await #expect(throws: KubernetesError.self) {
            _ = try await client.patch(data: ["a": nil], resourceVersion: "1")
        }
        #expect(open?.mayHaveBeenActedOn == true)
    }

    @Test func aSecretWithoutDataIsEmpty() async throws {
        for data in ["null", "{}", #"{"a":null}"#] {
            #expect(try await Self.client(KubernetesScript([.secret(200, data)])).read()?.keys == [])
        }
    }

    @Test func aValueThatIsNotBase64IsNamedWithoutIt() async throws {
        let secret = try #require(try await Self.client(KubernetesScript([.secret(200, #"{"tls.key":"!x!"}"#)])).read())
        let error = #expect(throws: KubernetesError.self) { _ = try secret.value("tls.key") }
        #expect(error?.code == .malformedResponse && error?.reason == "secret mcp-tunnel: data.tls.key is not base64")
    }
}

extension ServiceURL {
    static var local: ServiceURL {
        get throws(KubernetesError) {
            do { return try ServiceURL("https://127.0.0.1:6443") } catch {
                throw KubernetesError(.configuration, "\(error)", remedy: "")
            }
        }
    }
}
