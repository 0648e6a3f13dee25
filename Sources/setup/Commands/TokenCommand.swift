import TunnelAPI
import TunnelCLI
import TunnelCore
import TunnelSetup

/// `setup token reveal|rotate`: the token that cloudflared connects with.
enum TokenCommand {
    private static let reason = CommandFlag("reason", takes: "TEXT", "for the audit trail")
    private static let output = CommandFlag(
        "output", takes: "PLACE",
        "store the token there, dir:/path or k8s-secret:NAME, instead of printing it "
            + "(default in a Kubernetes pod: k8s-secret:mcp-tunnel)")
    private static let json = CommandFlag(
        "json", "print the result as JSON on standard output, with the token unless --output stores it")
    private static let details =
        "The token is stored where --output says. Without --output, outside of a pod, it is printed on standard output,\n"
        + "with --json as a field of the result: take care where that goes."

    static let reveal = SetupCommand(
        path: ["token", "reveal"], summary: "fetch the tunnel token; each time is recorded by the provider",
        details: details, flags: [.apiURL, .tunnelID, output, .outputOwner, .apiGeneration, json],
        example: "setup token reveal --api-url=https://api.anthropic.com --output=dir:/data"
    ) { invocation in
        let (id, client) = (try await invocation.tunnelID(), try invocation.client())
        let stored = try await stored(id, invocation)
        let token =
            if var stored { try await stored.fetchToken(client) } else { try await client.revealToken(of: id) }
        show(token, id, stored, invocation)
        return .done
    }

    static let rotate = SetupCommand(
        path: ["token", "rotate"], summary: "replace the tunnel token; the old one is good for no new connection",
        details: details, flags: [.apiURL, .tunnelID, output, .outputOwner, reason, .yes, .apiGeneration, json],
        example: "setup token rotate --api-url=https://api.anthropic.com --output=dir:/data --yes"
    ) { invocation in
        let (id, client) = (try await invocation.tunnelID(), try invocation.client())
        // Opened before the token changes, so that a folder which cannot be written is noticed in time.
        let stored = try await stored(id, invocation)
        let what = "Rotating ends the use of the old token for new connections of \(id)"
        try await invocation.confirm(what, byTyping: id)
        let reason = invocation.value(reason)
        let token =
            if var stored {
                try await stored.rotateToken(client, reason: reason, context: invocation.context)
            } else {
                try await client.rotateToken(of: id, reason: reason)
            }
        show(token, id, stored, invocation)
        return .done
    }

    private static func stored(_ id: String, _ invocation: Invocation) async throws -> StoredTunnel? {
        guard let place = try OutputPlace.chosen(invocation.arguments, invocation.environment) else { return nil }
        return try await StoredTunnel(try await place.open(for: .changing, invocation), expecting: id)
    }

    private static func show(_ token: TunnelToken, _ id: String, _ stored: StoredTunnel?, _ invocation: Invocation) {
        if let stored { invocation.console.note("tunnel token \(token.id) is in \(stored.location)") }
        if invocation.arguments.has(json) {
            let value = stored == nil ? token.value.reveal() : nil
            invocation.console.show(
                json: Report(id: token.id, tunnelId: id, output: stored?.location, tunnelToken: value))
        } else if stored == nil {
            invocation.console.show(token.value.reveal())
        }
    }

    private struct Report: Encodable {
        let id: String
        let tunnelId: String
        let output: String?
        let tunnelToken: String?
    }
}
