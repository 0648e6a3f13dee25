import TunnelAPI
import TunnelCLI
import TunnelCore
import TunnelSetup

/// `setup tunnels list|get|create|archive`.
enum TunnelsCommand {
    private static let archived = CommandFlag("archived", "those that are archived too")
    private static let workspace = CommandFlag(
        "workspace", takes: "ID", "of one workspace only, wrkspc_... (API generation 1)")

    static let list = SetupCommand(
        path: ["tunnels", "list"], summary: "list the tunnels that the identity can see",
        flags: [.apiURL, archived, .archivedOnly, workspace, .apiGeneration, .json],
        example: "setup tunnels list --api-url=https://api.anthropic.com"
    ) { invocation in
        let client = try invocation.client()
        let isArchivedOnly = invocation.arguments.has(.archivedOnly)
        var tunnels: [(tunnel: Tunnel, state: TunnelState)] = []
        for tunnel in try await client.tunnels(
            includeArchived: isArchivedOnly || invocation.arguments.has(archived),
            workspaceID: invocation.value(workspace))
        where tunnel.isArchived || !isArchivedOnly { tunnels.append((tunnel, try await TunnelState(tunnel, client))) }
        if invocation.arguments.has(.json) {
            invocation.console.show(json: tunnels.map { TunnelReport($0.tunnel, $0.state) })
        } else {
            let rows = tunnels.map { tunnel, state in
                [tunnel.id, tunnel.domain, tunnel.createdAt.toTheSecond, state.name, name(tunnel)]
            }
            invocation.console.show(TextTable.of([["ID", "DOMAIN", "CREATED", "STATE", "NAME"]] + rows))
        }
        return .done
    }

    static let get = SetupCommand(
        path: ["tunnels", "get"], operands: "[ID]", operandCount: 0...1, summary: "show one tunnel",
        flags: [.apiURL, .tunnelID, .output, .outputOwner, .apiGeneration, .json],
        example: "setup tunnels get tnl_01Hx9Kp2RtQvMn3sWbYdLcF8 --api-url=https://api.anthropic.com"
    ) { invocation in
        let id =
            if let named = invocation.arguments.operands.first { named } else { try await invocation.tunnelID() }
        let client = try invocation.client()
        try await show(try await client.tunnel(id), client, invocation)
        return .done
    }

    static let create = SetupCommand(
        path: ["tunnels", "create"], summary: "create a tunnel, which takes no traffic before it has a CA",
        details: "setup init does this itself where no tunnel is named. Each call makes another one.",
        flags: [.apiURL, .displayName, .apiGeneration, .json],
        example: "setup tunnels create --display-name=staging --api-url=https://api.anthropic.com"
    ) { invocation in
        let client = try invocation.client()
        try await show(try await client.createTunnel(displayName: invocation.value(.displayName)), client, invocation)
        return .done
    }

    static let archive = SetupCommand(
        path: ["tunnels", "archive"], operands: "ID", operandCount: 1...1,
        summary: "archive a tunnel: it stops at once, for ever",
        flags: [.apiURL, .yes, .apiGeneration, .json],
        example: "setup tunnels archive tnl_01Hx9Kp2RtQvMn3sWbYdLcF8 --api-url=https://api.anthropic.com --yes"
    ) { invocation in
        let client = try invocation.client()
        let tunnel = try await client.tunnel(invocation.arguments.operands[0])
        let named = tunnel.displayName == nil ? "" : " (\(name(tunnel)))"
        try await invocation.confirm("Archiving \(tunnel.domain)\(named) cannot be undone", byTyping: tunnel.id)
        try await show(try await client.archiveTunnel(tunnel.id), client, invocation)
        return .done
    }

    private static func show(_ tunnel: Tunnel, _ client: TunnelsClient, _ invocation: Invocation) async throws {
        let state = try await TunnelState(tunnel, client)
        guard !invocation.arguments.has(.json) else {
            return invocation.console.show(json: TunnelReport(tunnel, state))
        }
        var rows = [["id", tunnel.id], ["domain", tunnel.domain], ["name", name(tunnel)], ["state", state.name]]
        rows.append(["created", tunnel.createdAt.toTheSecond])
        if let time = tunnel.archivedAt { rows.append(["archived", time.toTheSecond]) }
        if let workspace = tunnel.workspaceID { rows.append(["workspace", Diagnostic.excerpt(workspace)]) }
        invocation.console.show(TextTable.of(rows))
    }

    /// On one line whatever is in it, because anybody in the organization can choose it.
    private static func name(_ tunnel: Tunnel) -> String {
        tunnel.displayName.map { Diagnostic.excerpt($0, limit: TunnelsClient.maxDisplayNameLength) } ?? ""
    }
}

/// What the Console shows of a tunnel.
private enum TunnelState: String {
    /// No CA is registered, so it takes no traffic.
    case needsCertificate = "needs-certificate"
    case active
    case archived

    init(_ tunnel: Tunnel, _ client: TunnelsClient) async throws {
        if tunnel.isArchived {
            self = .archived
        } else {
            self = try await client.certificates(of: tunnel.id).isEmpty ? .needsCertificate : .active
        }
    }

    var name: String {
        switch self {
        case .needsCertificate: "Needs certificate"
        case .active: "Active"
        case .archived: "Archived"
        }
    }
}

/// A tunnel in a result.
private struct TunnelReport: Encodable {
    let id: String
    let domain: String
    let displayName: String?
    let createdAt: String
    let archivedAt: String?
    let workspaceId: String?
    let state: String

    init(_ tunnel: Tunnel, _ state: TunnelState) {
        self.state = state.rawValue
        (id, domain, displayName) = (tunnel.id, tunnel.domain, tunnel.displayName)
        createdAt = tunnel.createdAt.toTheSecond
        archivedAt = tunnel.archivedAt?.toTheSecond
        workspaceId = tunnel.workspaceID
    }
}
