import TunnelAPI

/// Everything that changes.
struct FakeState: Sendable {
    /// What a snapshot holds.
    struct World: Sendable, Codable {
        var tunnels: [FakeTunnel] = []
        var certificates: [FakeCertificate] = []
        var accessTokens: [String: FakeAccessToken] = [:]
        var audit: [FakeAuditEvent] = []
        var authentications: [FakeAuthentication] = []
        var sequence = 0
        /// Microseconds that the clock was moved on.
        var clockOffset: Int64 = 0
    }

    static let maxRecords = 2000
    static let maxAuditEvents = 20_000
    static let maxTunnels = 10
    static let maxCertificates = 2
    /// A member that no client knows, which the versioning policy allows in every object.
    static let futureField: (name: String, value: FakeJSON) = ("added_later", ["nested": [1, nil, true]])

    var world: World
    var records: [FakeRecord] = []
    var faults: [FakeFault] = []
    var revision = 0

    init(_ configuration: FakeConfiguration, _ world: World = World(), now: Int64) {
        self.world = world
        for tunnel in configuration.tunnels {
            let isThere = self.world.tunnels.contains {
                if let id = tunnel.id { $0.id == id } else { $0.displayName == tunnel.displayName }
            }
            if isThere { continue }
            makeTunnel(
                displayName: tunnel.displayName, id: tunnel.id, workspaceID: tunnel.workspaceID,
                now: now + self.world.clockOffset)
        }
    }

    mutating func nextSequence() -> Int {
        world.sequence += 1
        return world.sequence
    }

    mutating func note(_ event: FakeAuditEvent) {
        world.audit.append(event)
        if world.audit.count > FakeState.maxAuditEvents { world.audit.removeFirst() }
        revision += 1
    }

    mutating func note(_ authentication: FakeAuthentication) {
        world.authentications.append(authentication)
        if world.authentications.count > FakeState.maxAuditEvents { world.authentications.removeFirst() }
        revision += 1
    }

    // MARK: One request

    mutating func answer(_ request: FakeRequest, _ configuration: FakeConfiguration, now: Int64) -> FakeAnswer {
        let fault = takeFault(for: request)
        // It never arrived, so it is not among those that came.
        if fault?.kind == .refuse { return .refuse }
        var record = FakeRecord(
            requestID: "req_011CS" + FakeState.randomText(19), method: request.method, target: request.target,
            fields: request.fields, body: Array(request.body.prefix(FakeRecord.maxBodyBytes)))
        record.fault = fault?.kind
        var call = FakeCall(request, configuration, now: now + world.clockOffset, requestID: record.requestID)
        var real: HTTPResponse?
        if fault?.actsFirst ?? true {
            record.wasActedOn = true
            real = perform(&call)
        }
        let answer = fault.map { call.answer($0, real) } ?? real.map(FakeAnswer.response) ?? .drop
        switch answer {
        case .response(let response), .truncated(let response, _): record.status = response.status
        case .stall, .drop, .refuse: break
        }
        records.append(record)
        if records.count > FakeState.maxRecords { records.removeFirst() }
        return answer
    }

    /// The response without faults.
    private mutating func perform(_ call: inout FakeCall) -> HTTPResponse {
        do throws(FakeError) {
            guard call.request.body.count <= FakeCall.maxBodyBytes else {
                throw FakeError(413, "Request exceeds the maximum size of \(FakeCall.maxBodyBytes) bytes")
            }
            let endpoint = try FakeEndpoint(call.request)
            let body: FakeJSON =
                switch endpoint {
                case .tokenExchange: try exchange(&call)
                case .tunnels(let generation, let operation):
                    try perform(operation, for: try call.authorize(generation, world.accessTokens), &call)
                }
            return call.response(200, body)
        } catch {
            return call.response(error)
        }
    }

    private mutating func takeFault(for request: FakeRequest) -> FakeFault? {
        for index in faults.indices where faults[index].fits(request) {
            if faults[index].skip > 0 {
                faults[index].skip -= 1
                continue
            }
            let fault = faults[index]
            faults[index].times -= 1
            if faults[index].times < 1 { faults.remove(at: index) }
            return fault
        }
        return nil
    }

    /// Letters and digits without those that look alike, as the ids in the samples have them.
    static func randomText(_ count: Int) -> String {
        let alphabet = Array("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
        return String((0..<count).map { _ in alphabet[Int.random(in: alphabet.indices)] })
    }
}
