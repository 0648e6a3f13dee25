import TunnelAPI
import TunnelCLI
import TunnelCore
import TunnelSetup

/// `setup tunnels list|get|archive`.
enum TunnelsCommand {
    private static let archived = CommandFlag("archived", "those that are archived too")
    private static let workspace = CommandFlag(
        "workspace", takes: "ID", "of one workspace only, wrkspc_... (API generation 1)")

    static let list = SetupCommand(
        path: ["tunnels", "list"], summary: "list the tunnels that the identity can see",
        flags: [.apiURL, archived, workspace, .apiGeneration, .json],
        example: "setup tunnels list --api-url=https://api.anthropic.com"
    ) { invocation in
        let tunnels = try await invocation.client().tunnels(
            includeArchived: invocation.arguments.has(archived), workspaceID: invocation.value(workspace))
        if invocation.arguments.has(.json) {
            invocation.console.show(json: tunnels.map { TunnelReport($0) })
        } else {
            let rows = tunnels.map { [$0.id, $0.domain, $0.createdAt.toTheSecond, state($0), name($0)] }
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
        show(try await invocation.client().tunnel(id), invocation)
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
        show(try await client.archiveTunnel(tunnel.id), invocation)
        return .done
    }

    private static func show(_ tunnel: Tunnel, _ invocation: Invocation) {
        guard !invocation.arguments.has(.json) else {
            return invocation.console.show(json: TunnelReport(tunnel))
        }
        var rows = [["id", tunnel.id], ["domain", tunnel.domain], ["name", name(tunnel)]]
        rows.append(["created", tunnel.createdAt.toTheSecond])
        if let time = tunnel.archivedAt { rows.append(["archived", time.toTheSecond]) }
        if let workspace = tunnel.workspaceID { rows.append(["workspace", Diagnostic.excerpt(workspace)]) }
        invocation.console.show(TextTable.of(rows))
    }

    /// On one line whatever is in it, because anybody in the organization can choose it.
    private static func name(_ tunnel: Tunnel) -> String {
        tunnel.displayName.map { Diagnostic.excerpt($0, limit: TunnelsClient.maxDisplayNameLength) } ?? ""
    }

    private static func state(_ tunnel: Tunnel) -> String { tunnel.isArchived ? "archived" : "active" }
}

/// A tunnel in a result.
private struct TunnelReport: Encodable {
    let id: String
    let domain: String
    let displayName: String?
    let createdAt: String
    let archivedAt: String?
    let workspaceId: String?

    init(_ tunnel: Tunnel) {
        (id, domain, displayName) = (tunnel.id, tunnel.domain, tunnel.displayName)
        createdAt = tunnel.createdAt.toTheSecond
        archivedAt = tunnel.archivedAt?.toTheSecond
        workspaceId = tunnel.workspaceID
    }
}
