import TunnelCore
import TunnelAPI
import TunnelSetup

/// `setup token reveal|rotate`: the token that cloudflared connects with.
enum TokenCommand {
    private static let reason = Flag("reason", takes: "TEXT", "for the audit trail")
    private static let output = Flag(
        "output", takes: "PLACE", "store the token there, dir:/path or k8s-secret:NAME, instead of printing it")
    private static let json = Flag(
        "json", "print the result as JSON on standard output, with the token unless --output stores it")
    private static let details =
        "The token is stored where --output says. Without --output it is printed on standard output, and with --json as\n"
        + "a field of the result: take care where that goes."

    static let reveal = Command(
        path: ["token", "reveal"], summary: "fetch the tunnel token; each time is recorded by the provider",
        details: details, flags: [.apiURL, .tunnelID, output, .apiGeneration, json],
        example: "setup token reveal --api-url=https://api.anthropic.com --output=dir:/data"
    ) { invocation in
        try await run(invocation) { client, id in try await client.revealToken(of: id) }
    }

    static let rotate = Command(
        path: ["token", "rotate"], summary: "replace the tunnel token; the old one is good for no new connection",
        details: details, flags: [.apiURL, .tunnelID, output, reason, .yes, .apiGeneration, json],
        example: "setup token rotate --api-url=https://api.anthropic.com --output=dir:/data --yes"
    ) { invocation in
        try await run(invocation) { client, id in
            if !invocation.arguments.has(.yes) {
                let what = "Rotating ends the use of the old token for new connections of \(id)"
                guard try invocation.console.confirm(what, byTyping: id) else { throw Declined() }
            }
            return try await client.rotateToken(of: id, reason: invocation.value(reason))
        }
    }

    private struct Declined: Error {}

    private static func run(
        _ invocation: Invocation, _ fetch: (TunnelsClient, String) async throws -> TunnelToken
    ) async throws -> ExitStatus {
        let id = try await invocation.tunnelID()
        let client = try invocation.client()
        // Opened before the token changes, so that a folder which cannot be written is noticed in time.
        let place = invocation.value(.output) == nil ? nil : try OutputPlace.required(invocation)
        let store = try await place?.open(for: .writing, invocation)
        let stored: StoredTunnel?
        if let store { stored = try await StoredTunnel(store, expecting: id) } else { stored = nil }
        let token: TunnelToken
        do { token = try await fetch(client, id) } catch is Declined {
            invocation.console.tell("nothing changed")
            return .failed
        }
        if let stored {
            try await stored.replaceToken(token)
            invocation.console.tell("tunnel token \(token.id) is in \(stored.location)")
        }
        if invocation.arguments.has(.json) {
            let value = stored == nil ? token.value.reveal() : nil
            invocation.console.show(
                JSONText.of(Report(id: token.id, tunnelId: id, output: stored?.location, tunnelToken: value)))
        } else if stored == nil {
            invocation.console.show(token.value.reveal())
        }
        return .done
    }

    private struct Report: Encodable {
        let id: String
        let tunnelId: String
        let output: String?
        let tunnelToken: String?
    }
}
