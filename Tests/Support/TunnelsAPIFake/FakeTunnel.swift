import TunnelCore

/// A tunnel, with the connector token that is in force.
public struct FakeTunnel: Sendable, Hashable, Codable {
    public let id: String
    public let domain: String
    public let displayName: String?
    /// `nil` for the default workspace.
    public let workspaceID: String?
    /// Microseconds since 1970-01-01 00:00 UTC.
    public let createdAt: Int64
    public internal(set) var archivedAt: Int64?
    /// What cloudflared would be given; `nil` once the tunnel is archived.
    public internal(set) var token: String?
    /// Tokens that rotation or archiving has made invalid, the last 100.
    public internal(set) var formerTokens: [String] = []
    /// Counts everything that is made; lists are ordered by it.
    let sequence: Int

    func json(_ generation: FakeGeneration) -> FakeJSON {
        var members: [String: FakeJSON] = [
            "id": .string(id), "type": "tunnel", "domain": .string(domain), "display_name": .optional(displayName),
            "created_at": .string(Timestamp.text(createdAt, digits: 3)),
            "archived_at": .optional(archivedAt.map { Timestamp.text($0, digits: 6) }),
            FakeState.futureField.name: FakeState.futureField.value,
        ]
        if generation == .first { members["workspace_id"] = .optional(workspaceID) }
        return .object(members)
    }
}

/// A certificate that was registered with a tunnel.
public struct FakeCertificate: Sendable, Hashable, Codable {
    public let id: String
    public let tunnelID: String
    public let fingerprint: String
    /// Microseconds since 1970-01-01 00:00 UTC, as the other times.
    public let createdAt: Int64
    public let expiresAt: Int64
    public internal(set) var archivedAt: Int64?
    /// As it was uploaded.
    public let pem: String
    let sequence: Int

    var json: FakeJSON {
        [
            "id": .string(id), "type": "tunnel_certificate", "tunnel_id": .string(tunnelID),
            "fingerprint": .string(fingerprint), "created_at": .string(Timestamp.text(createdAt, digits: 6)),
            "expires_at": .string(Timestamp.text(expiresAt, digits: 3)),
            "archived_at": .optional(archivedAt.map { Timestamp.text($0, digits: 6) }),
            FakeState.futureField.name: FakeState.futureField.value,
        ]
    }
}

/// RFC 3339 with three or six digits of a second: the published samples have both.
enum Timestamp {
    static func text(_ microseconds: Int64, digits: Int) -> String {
        let time = UnixTime(microseconds: microseconds)
        let text = time.description
        guard digits > 3 else { return text }
        let tail = String(time.nanoseconds / 1000 % 1000)
        return text.dropLast() + String(repeating: "0", count: 3 - tail.utf8.count) + tail + "Z"
    }
}
