import COpenSSL
import FoundationEssentials

extension FakeState {
    mutating func perform(
        _ operation: FakeOperation, for caller: FakeCall.Caller, _ call: inout FakeCall
    ) throws(FakeError) -> FakeJSON {
        let query = try FakeQuery(call.request)
        switch operation {
        case .listTunnels:
            try query.allow(caller.generation == .first ? FakeQuery.list + ["workspace_id"] : FakeQuery.list)
        case .listCertificates: try query.allow(FakeQuery.list)
        default: try query.allow([])
        }
        switch operation {
        case .createTunnel: return try createTunnel(caller, call)
        case .listTunnels:
            try call.checkNoBody()
            return try listTunnels(caller, query)
        case .getTunnel(let id):
            try call.checkNoBody()
            return world.tunnels[try tunnelIndex(id, caller)].json(caller.generation)
        case .archiveTunnel(let id):
            try call.checkNoBody()
            return archive(try tunnelIndex(id, caller), call).json(caller.generation)
        case .revealToken(let id):
            try call.checkNoBody()
            let tunnel = world.tunnels[try tunnelIndex(id, caller)]
            return try revealToken(tunnel, call)
        case .rotateToken(let id): return try rotateToken(try tunnelIndex(id, caller), call)
        case .addCertificate(let id): return try addCertificate(to: world.tunnels[try tunnelIndex(id, caller)], call)
        case .listCertificates(let id):
            try call.checkNoBody()
            return try listCertificates(of: world.tunnels[try tunnelIndex(id, caller)], caller, query)
        case .getCertificate(let certificate, let id):
            try call.checkNoBody()
            _ = try tunnelIndex(id, caller)
            return world.certificates[try certificateIndex(certificate, of: id)].json
        case .archiveCertificate(let certificate, let id):
            try call.checkNoBody()
            _ = try tunnelIndex(id, caller)
            return archiveCertificate(try certificateIndex(certificate, of: id), call).json
        }
    }

    private func tunnelIndex(_ id: String, _ caller: FakeCall.Caller) throws(FakeError) -> Int {
        guard let index = world.tunnels.firstIndex(where: { $0.id == id }) else { throw .notFound }
        try caller.check(world.tunnels[index])
        return index
    }

    // MARK: Tunnels

    private mutating func createTunnel(_ caller: FakeCall.Caller, _ call: FakeCall) throws(FakeError) -> FakeJSON {
        let members = try call.bodyMembers(only: ["display_name"])
        var displayName: String?
        switch members["display_name"] {
        case nil, .null: break
        case .string(let name):
            // Characters are not defined; these are Unicode's code points, as Python counts them.
            guard (1...255).contains(name.unicodeScalars.count) else {
                throw .invalid("display_name: String should have at least 1 and at most 255 characters")
            }
            displayName = name
        default: throw .invalid("display_name: Input should be a valid string")
        }
        guard world.tunnels.count(where: { $0.archivedAt == nil }) < FakeState.maxTunnels else {
            // The published text.
            throw .invalid("Organization already has the maximum of 10 non-archived Tunnels")
        }
        let tunnel = makeTunnel(displayName: displayName, id: nil, workspaceID: caller.workspaceID, now: call.now)
        return tunnel.json(caller.generation)
    }

    @discardableResult
    mutating func makeTunnel(displayName: String?, id: String?, workspaceID: String?, now: Int64) -> FakeTunnel {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        let label = String((0..<8).map { _ in letters[Int.random(in: letters.indices)] })
        let tunnel = FakeTunnel(
            id: id ?? "tnl_01" + FakeState.randomText(22), domain: "\(label).tunnel.anthropic.com",
            displayName: displayName, workspaceID: workspaceID, createdAt: now, token: FakeState.makeToken(),
            sequence: nextSequence())
        world.tunnels.append(tunnel)
        note(FakeAuditEvent(.tunnelCreated, at: now, tunnelID: tunnel.id))
        return tunnel
    }

    private func listTunnels(_ caller: FakeCall.Caller, _ query: FakeQuery) throws(FakeError) -> FakeJSON {
        var tunnels = world.tunnels
        switch caller.generation {
        case .second: tunnels.removeAll { $0.workspaceID != caller.workspaceID }
        case .first:
            if let workspace = query["workspace_id"] {
                guard FakeState.isWorkspaceID(workspace) else {
                    throw .invalid("workspace_id: must be a workspace id (`wrkspc_...`)")
                }
                tunnels.removeAll { $0.workspaceID != workspace }
            }
        }
        if try !query.flag("include_archived") { tunnels.removeAll { $0.archivedAt != nil } }
        let items = tunnels.map { (sequence: $0.sequence, json: $0.json(caller.generation)) }
        return try query.page(of: items, kind: "tunnel")
    }

    private mutating func archive(_ index: Int, _ call: FakeCall) -> FakeTunnel {
        // Again is the same as once.
        guard world.tunnels[index].archivedAt == nil else { return world.tunnels[index] }
        world.tunnels[index].archivedAt = call.now
        world.tunnels[index].invalidateToken(replacement: nil)
        let id = world.tunnels[index].id
        for certificate in world.certificates.indices where world.certificates[certificate].tunnelID == id {
            _ = archiveCertificate(certificate, call)
        }
        note(FakeAuditEvent(.tunnelArchived, at: call.now, tunnelID: id))
        return world.tunnels[index]
    }

    // MARK: The connector's token

    private mutating func revealToken(_ tunnel: FakeTunnel, _ call: FakeCall) throws(FakeError) -> FakeJSON {
        guard let token = tunnel.token else { throw .invalid("The tunnel is archived and has no token") }
        var event = FakeAuditEvent(.tokenRevealed, at: call.now, tunnelID: tunnel.id)
        event.tokenID = FakeState.tokenID(token)
        note(event)
        return FakeState.json(token: token)
    }

    private mutating func rotateToken(_ index: Int, _ call: FakeCall) throws(FakeError) -> FakeJSON {
        let reason: String?
        switch try call.bodyMembers(only: ["reason"])["reason"] {
        case nil, .null: reason = nil
        case .string(let text): reason = text
        default: throw .invalid("reason: Input should be a valid string")
        }
        guard world.tunnels[index].token != nil else { throw .invalid("The tunnel is archived and has no token") }
        let token = FakeState.makeToken()
        world.tunnels[index].invalidateToken(replacement: token)
        var event = FakeAuditEvent(.tokenRotated, at: call.now, tunnelID: world.tunnels[index].id)
        (event.tokenID, event.reason) = (FakeState.tokenID(token), reason)
        note(event)
        return FakeState.json(token: token)
    }

    private static func json(token: String) -> FakeJSON {
        [
            "id": .string(tokenID(token)), "tunnel_token": .string(token), "type": "tunnel_token",
            futureField.name: futureField.value,
        ]
    }

    /// `ttkn_` and the SHA-256 of the token, in hexadecimal.
    static func tokenID(_ token: String) -> String {
        let bytes = Array(token.utf8)
        var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        // SAFETY: SHA256 reads `bytes.count` bytes and writes SHA256_DIGEST_LENGTH, which `digest` has.
        _ = SHA256(bytes, bytes.count, &digest)
        let text = digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return "ttkn_" + text
    }

    /// What cloudflared takes: the base64 of account, tunnel and secret.
    static func makeToken() -> String {
        let hex = { (count: Int) in
            (0..<count).map { _ in String(UInt8.random(in: 0...15), radix: 16) }.joined()
        }
        let secret = Data((0..<32).map { _ in UInt8.random(in: 0...255) }).base64EncodedString()
        let tunnel = [8, 4, 4, 4, 12].map(hex).joined(separator: "-")
        let json = "{\"a\":\"\(hex(32))\",\"t\":\"\(tunnel)\",\"s\":\"\(secret)\"}"
        return Data(json.utf8).base64EncodedString()
    }

    static func isWorkspaceID(_ text: String) -> Bool { isPrefixed(text, "wrkspc_") }

    /// The prefix, and then only letters and digits.
    static func isPrefixed(_ text: String, _ prefix: String) -> Bool {
        let rest = text.utf8.dropFirst(prefix.utf8.count)
        return text.hasPrefix(prefix) && !rest.isEmpty && rest.allSatisfy(FakeEndpoint.isLetterOrDigit)
    }
}

extension FakeTunnel {
    private static let maxFormerTokens = 100

    mutating func invalidateToken(replacement: String?) {
        if let token { formerTokens.append(token) }
        if formerTokens.count > FakeTunnel.maxFormerTokens { formerTokens.removeFirst() }
        token = replacement
    }
}
