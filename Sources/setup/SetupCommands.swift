import TunnelCLI

typealias SetupCommand = Command<@Sendable (Invocation) async throws -> ExitStatus>

/// Every command of setup, and the flags that several of them have.
enum SetupCommands {
    static let table = CommandTable(
        program: "setup", style: .long,
        about: "Provisions an MCP tunnel: certificates, token, and the place where they are kept.",
        commands: [
            InitCommand.command, RenewCertCommand.command, GenerateCertsCommand.command, VerifyCommand.command,
            RotateCACommand.command, TunnelsCommand.list, TunnelsCommand.get, TunnelsCommand.create,
            TunnelsCommand.archive,
            CertsCommand.list, CertsCommand.add, CertsCommand.revoke, TokenCommand.reveal, TokenCommand.rotate,
        ],
        groups: [
            "tunnels": "the tunnels of the organization or workspace", "certs": "the CA certificates of a tunnel",
            "token": "the token that cloudflared connects with",
        ],
        notes: """
            Identity: ANTHROPIC_FEDERATION_RULE_ID, ANTHROPIC_ORGANIZATION_ID, ANTHROPIC_WORKSPACE_ID (optional), and
            ANTHROPIC_IDENTITY_TOKEN_FILE or ANTHROPIC_IDENTITY_TOKEN; or API_TOKEN. Proxies: HTTPS_PROXY, NO_PROXY.
            Sandbox: SETUP_SANDBOX, best-effort (the default), required or off.
            Exit status: 0 done, 1 failed, 2 usage.
            """)
}

extension CommandFlag {
    static let json = CommandFlag("json", "print the result as JSON on standard output; no secrets")
    static let output = CommandFlag(
        "output", takes: "PLACE", "dir:/path or k8s-secret:NAME (default in a Kubernetes pod: k8s-secret:mcp-tunnel)")
    static let outputOwner = CommandFlag(
        "output-owner", takes: "USER", "whose folder dir:/path is, by name or number; others are not used then")
    static let apiURL = CommandFlag(
        "api-url", takes: "URL", variable: "API_URL", "base URL of the API: https://api.anthropic.com")
    static let apiGeneration = CommandFlag(
        "api-generation", takes: "1|2", "1 or 2; default: by the scope that the token exchange grants")
    static let tunnelID = CommandFlag(
        "tunnel-id", takes: "ID", variable: "TUNNEL_ID", "the tunnel, tnl_...; default: the stored one")
    static let certDuration = CommandFlag(
        "cert-duration", takes: "DURATION", "validity of the server certificate (default 2160h)")
    static let keyType = CommandFlag(
        "key-type", takes: "TYPE",
        "rsa-2048, rsa-3072, rsa-4096, ecdsa-p256 or ecdsa-p384; default: as before, at first rsa-4096")
    static let displayName = CommandFlag("display-name", takes: "NAME", "name of a tunnel that is created")
    static let archivedOnly = CommandFlag("archived-only", "those that are no longer in force, and no others")
    static let yes = CommandFlag("yes", "do not ask")
    static let dryRun = CommandFlag("dry-run", "print what would be done, and change nothing")
}
