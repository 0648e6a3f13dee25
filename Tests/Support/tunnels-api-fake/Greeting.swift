import TunnelIO
import TunnelsAPIFake

/// What is printed first: where the fake listens, and the lines with which setup can be tried.
struct Greeting {
    let text: String

    init(_ options: FakeOptions, _ api: FakeTunnelsAPI, _ address: SocketAddress) {
        let rule = options.rule
        let url = "http://\(address)"
        // The longest lifetime that an issuer may give.
        let identityToken = api.identityToken(for: rule, lifetime: 3600)
        let tunnels = api.tunnels.filter { $0.archivedAt == nil }
        if options.printsJSON {
            let list: [FakeJSON] = tunnels.map {
                [
                    "id": .string($0.id), "domain": .string($0.domain),
                    "display_name": $0.displayName.map(FakeJSON.string) ?? .null,
                ]
            }
            let json: FakeJSON = [
                "listen": .string("\(address)"), "api_url": .string(url), "federation_rule_id": .string(rule.id),
                "organization_id": .string(options.configuration.organizationID),
                "workspace_id": .string(rule.workspaces[0]), "identity_token": .string(identityToken),
                "tunnels": .array(list),
            ]
            text = String(decoding: json.bytes, as: UTF8.self) + "\n"
            return
        }
        var lines = ["listening on \(address)"]
        lines += tunnels.map { "tunnel \($0.id) \($0.domain)" + ($0.displayName.map { " (\($0))" } ?? "") }
        lines += [
            "", "Try setup with it:", "", "  export API_URL=\(url)", "  export ANTHROPIC_FEDERATION_RULE_ID=\(rule.id)",
            "  export ANTHROPIC_ORGANIZATION_ID=\(options.configuration.organizationID)",
        ]
        if rule.workspaces != [FakeRule.defaultWorkspace] {
            lines.append("  export ANTHROPIC_WORKSPACE_ID=\(rule.workspaces[0])")
        }
        // The first generation cannot make one.
        if !rule.scope.contains(FakeGeneration.second.scope), let tunnel = tunnels.first {
            lines.append("  export TUNNEL_ID=\(tunnel.id)")
        }
        lines += [
            "  export ANTHROPIC_IDENTITY_TOKEN=\(identityToken)", "  setup init --output=dir:./data", "",
            "The identity token is good for one hour; a fresh one comes from \(url)/_fake/identity-token", "",
        ]
        text = lines.joined(separator: "\n") + "\n"
    }
}
