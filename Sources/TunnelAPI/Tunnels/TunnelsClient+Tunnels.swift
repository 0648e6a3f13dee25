internal import FoundationEssentials
internal import TunnelCore

/// Tunnels and their tokens. Unless one says otherwise, an operation is sent again up to two times after a failure that
/// passes, also when the first attempt may have been carried out, because doing it twice is the same as doing it once.
extension TunnelsClient {
    /// All tunnels, from all pages, newest first.
    ///
    /// - Parameter workspaceID: only those of one workspace; first generation only, in the second a token is bound to
    ///   its workspace.
    /// - Throws: ``APIError``; also when the list is longer than 10,000 tunnels or 100 pages, or turns in a circle.
    public func tunnels(
        includeArchived: Bool = false, workspaceID: String? = nil
    ) async throws(APIError) -> [Tunnel] {
        let operation = "list the tunnels"
        let delivery = delivery()
        var query: [(String, String)] = []
        if let workspaceID {
            try check(workspaceID, "workspace id", operation)
            guard try await access(for: operation, delivery).generation == .first else {
                throw APIError(
                    .api, operation, .unsupported, "this generation of the API does not list by workspace",
                    remedy: "set ANTHROPIC_WORKSPACE_ID instead, which binds the access token to the workspace")
            }
            query = [("workspace_id", workspaceID)]
        }
        let call = APICall.read(operation, "", .tunnels)
        return try await all(call, query, includeArchived: includeArchived, delivery, APIResponse.tunnels)
    }

    public func tunnel(_ id: String) async throws(APIError) -> Tunnel {
        let operation = "get the tunnel"
        try check(id, "tunnel id", operation)
        return try await perform(.read(operation, "/\(id)"), delivery()) { body throws(APIResponse.Failure) in
            try APIResponse.tunnel(body, id: id)
        }
    }

    /// Creates a tunnel in the credential's workspace; second generation only.
    ///
    /// Never sent again after a failure, because each creation makes another tunnel; only after a refused access token,
    /// once. ``APIError/mayHaveBeenActedOn`` says whether there may be a tunnel now whose id is not known.
    ///
    /// - Parameter displayName: 1 to 255 characters.
    public func createTunnel(displayName: String?) async throws(APIError) -> Tunnel {
        let operation = "create a tunnel"
        if let displayName, !(1...Self.maxDisplayNameLength).contains(displayName.unicodeScalars.count) {
            throw APIError(
                .api, operation, .invalidArgument,
                "the display name has \(displayName.unicodeScalars.count) characters",
                remedy: "give one of 1 to \(Self.maxDisplayNameLength) characters")
        }
        let delivery = delivery()
        guard try await access(for: operation, delivery).generation == .second else {
            throw APIError(
                .api, operation, .unsupported, "the first generation of the API cannot create tunnels",
                remedy: "create it in the Claude Console and give its id (--tunnel-id), or let the federation rule "
                    + "grant \(APIGeneration.second.scope)")
        }
        var call = APICall.change(operation, "", .tunnels, body: jsonBytes(CreateBody(displayName: displayName)))
        call.repetition = .never
        call.ambiguityRemedy =
            "list the tunnels before the next attempt: if there is a new one, give its id (--tunnel-id)"
        return try await perform(call, delivery) { body throws(APIResponse.Failure) in try APIResponse.tunnel(body) }
    }

    private struct CreateBody: Encodable {
        var displayName: String?
        enum CodingKeys: String, CodingKey { case displayName = "display_name" }
    }

    /// Archives a tunnel for good: its traffic stops at once, token and certificates become invalid, and the host name
    /// is retired. A tunnel that is archived already stays as it is.
    public func archiveTunnel(_ id: String) async throws(APIError) -> Tunnel {
        let operation = "archive the tunnel"
        try check(id, "tunnel id", operation)
        return try await perform(.change(operation, "/\(id)/archive"), delivery()) { body throws(APIResponse.Failure) in
            try APIResponse.tunnel(body, id: id)
        }
    }

    /// The tunnel's token. Each time is recorded in the organization's audit log.
    public func revealToken(of id: String) async throws(APIError) -> TunnelToken {
        let operation = "get the tunnel's token"
        try check(id, "tunnel id", operation)
        var call = APICall.change(operation, "/\(id)/reveal_token")
        call.changes = false
        return try await perform(call, delivery()) { body throws(APIResponse.Failure) in
            try APIResponse.token(body, tunnelID: id)
        }
    }

    /// Replaces the tunnel's token. The old one is good for connections that exist, and for no new ones.
    ///
    /// Sent again after a failure that passes: then the token may have been replaced twice, and the second one counts.
    /// If it fails for good, ``APIError/mayHaveBeenActedOn`` says whether the old token may be void.
    ///
    /// - Parameter reason: for the audit log.
    public func rotateToken(of id: String, reason: String? = nil) async throws(APIError) -> TunnelToken {
        let operation = "rotate the tunnel's token"
        try check(id, "tunnel id", operation)
        var call = APICall.change(operation, "/\(id)/rotate_token", body: jsonBytes(RotateBody(reason: reason)))
        call.ambiguityRemedy = "run it again, or get the token that is valid now: the old one may be void"
        return try await perform(call, delivery()) { body throws(APIResponse.Failure) in
            try APIResponse.token(body, tunnelID: id)
        }
    }

    private struct RotateBody: Encodable {
        var reason: String?
    }

    /// Ids stand in paths, where a `/` or a `?` would make another request of it.
    func check(_ id: String, _ name: String, _ operation: String) throws(APIError) {
        guard ResourceID.isValid(id) else {
            throw APIError(
                .api, operation, .invalidArgument, "the \(name) is not one",
                remedy: "give 1 to \(ResourceID.maxBytes) letters, digits, _ and -, as the Console shows it")
        }
    }
}
