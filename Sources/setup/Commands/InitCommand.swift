import TunnelAPI
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelSetup

/// `setup init`.
enum InitCommand {
    private static let tokenVersion = CommandFlag(
        "token-version", takes: "VERSION", "another value than the stored one rotates the tunnel token")

    private static let refreshToken = CommandFlag(
        "refresh-token", "fetch the tunnel token in force, where somebody has rotated it elsewhere")
    private static let dropOldCA = CommandFlag(
        "drop-old-ca", "remove the CA that was kept when the output came to belong to another tunnel")

    static let command = SetupCommand(
        path: ["init"], summary: "make everything that the tunnel's stack needs, or finish what an earlier run began",
        details: "Can be run again at any time: it changes only what is missing or asked for.",
        flags: [
            .apiURL, .tunnelID, .output, .outputOwner, .displayName, tokenVersion, refreshToken, dropOldCA,
            .certDuration,
            .keyType, .apiGeneration, .dryRun, .json,
        ],
        example: "setup init --api-url=https://api.anthropic.com --output=dir:/data --token-version=1"
    ) { invocation in
        var options = ProvisioningOptions(
            tunnelID: invocation.value(.tunnelID), displayName: invocation.value(.displayName),
            tokenVersion: invocation.value(tokenVersion))
        options.serverCertificate = try invocation.serverCertificate()
        options.refreshesToken = invocation.arguments.has(refreshToken)
        options.dropsOldCA = invocation.arguments.has(dropOldCA)
        let place = try OutputPlace.required(invocation)
        let client = try invocation.client()
        let isDryRun = invocation.arguments.has(.dryRun)
        let store = try await place.open(for: isDryRun ? .planning : .making, invocation)
        let provisioner = Provisioner(
            client: client, store: TimedStore(store: store, stopwatch: invocation.stopwatch), options: options,
            context: invocation.context)
        guard !isDryRun else {
            let plan = try await provisioner.plan()
            if invocation.arguments.has(.json) {
                invocation.console.show(json: PlanReport(output: store.location, plan: plan.steps, notes: plan.notes))
            } else {
                let lines = plan.steps.map { "would \($0)" } + plan.notes.map { "note: \($0)" }
                invocation.console.show(lines.joined(separator: "\n"))
            }
            return .done
        }
        let result = try await provisioner.run()
        invocation.console.note("\(store.location) is \(result.isChanged ? "written" : "complete, nothing changed")")
        invocation.console.note(invocation.stopwatch.text)
        let next = nextSteps(result.tunnel.domain, store.location)
        for step in next { invocation.console.note("next: \(step)") }
        if invocation.arguments.has(.json) {
            invocation.console.show(json: InitReport(result, store.location, invocation.stopwatch.report, next))
        }
        return .done
    }

    private static func nextSteps(_ domain: String, _ location: String) -> [String] {
        [
            "the proxy's configuration has tunnel_domain: \(domain)",
            "cloudflared connects with the token in \(location): TUNNEL_TOKEN is what tunnel-token holds",
            "a route NAME of the configuration is then at https://NAME.\(domain)/, with the MCP server's own path, often /mcp",
        ]
    }

    private struct PlanReport: Encodable {
        let output: String
        let plan: [String]
        let notes: [String]
    }
}

/// The result of `setup init`.
private struct InitReport: Encodable {
    struct TunnelPart: Encodable {
        let action: String
        let id: String
        let domain: String
        let displayName: String?
    }
    struct AuthorityPart: Encodable {
        let action: String
        let id: String
        let certificate: CertificateReport
    }
    struct TokenPart: Encodable {
        let action: String
        let version: String?
        let current: Bool?
    }
    struct ServerCertificatePart: Encodable {
        let action: String
        let certificate: CertificateReport
    }
    let output: String
    let changed: Bool
    let apiGeneration: Int
    let tunnel: TunnelPart
    let ca: AuthorityPart
    let token: TokenPart
    let serverCertificate: ServerCertificatePart
    let ticketKeys: String
    let time: Stopwatch.Report
    let next: [String]

    init(_ result: ProvisioningResult, _ output: String, _ time: Stopwatch.Report, _ next: [String]) {
        (self.time, self.next) = (time, next)
        self.output = output
        changed = result.isChanged
        apiGeneration = result.generation.rawValue
        tunnel = TunnelPart(
            action: result.tunnelAction.rawValue, id: result.tunnel.id, domain: result.tunnel.domain,
            displayName: result.tunnel.displayName)
        ca = AuthorityPart(
            action: result.caAction.rawValue, id: result.caID,
            certificate: CertificateReport(result.ca))
        token = TokenPart(
            action: result.tokenAction.rawValue, version: result.tokenVersion, current: result.isTokenCurrent)
        ticketKeys = result.ticketKeys.rawValue
        serverCertificate = ServerCertificatePart(
            action: result.serverCertificateAction.rawValue, certificate: CertificateReport(result.serverCertificate))
    }
}
