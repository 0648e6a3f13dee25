import TunnelAPI
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelSetup

/// `setup init`.
enum InitCommand {
    private static let displayName = CommandFlag("display-name", takes: "NAME", "name of a tunnel that is created")
    private static let tokenVersion = CommandFlag(
        "token-version", takes: "VERSION", "another value than the stored one rotates the tunnel token")

    static let command = SetupCommand(
        path: ["init"], summary: "make everything that the tunnel's stack needs, or finish what an earlier run began",
        details: "Can be run again at any time: it changes only what is missing or asked for.",
        flags: [
            .apiURL, .tunnelID, .output, .outputOwner, displayName, tokenVersion, .certDuration, .keyType,
            .apiGeneration, .dryRun, .json,
        ],
        example: "setup init --api-url=https://api.anthropic.com --output=dir:/data --token-version=1"
    ) { invocation in
        var options = ProvisioningOptions(
            tunnelID: invocation.value(.tunnelID), displayName: invocation.value(displayName),
            tokenVersion: invocation.value(tokenVersion))
        options.serverCertificate = try invocation.serverCertificate()
        let place = try OutputPlace.required(invocation)
        let client = try invocation.client()
        let isDryRun = invocation.arguments.has(.dryRun)
        let store = try await place.open(for: isDryRun ? .reading : .making, invocation)
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
        if invocation.arguments.has(.json) {
            invocation.console.show(json: InitReport(result, store.location, invocation.stopwatch.report))
        }
        return .done
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
    let time: Stopwatch.Report

    init(_ result: ProvisioningResult, _ output: String, _ time: Stopwatch.Report) {
        self.time = time
        self.output = output
        changed = result.isChanged
        apiGeneration = result.generation.rawValue
        tunnel = TunnelPart(
            action: result.tunnelAction.rawValue, id: result.tunnel.id, domain: result.tunnel.domain,
            displayName: result.tunnel.displayName)
        ca = AuthorityPart(
            action: result.caAction.rawValue, id: result.caID,
            certificate: CertificateReport(result.ca))
        token = TokenPart(action: result.tokenAction.rawValue, version: result.tokenVersion)
        serverCertificate = ServerCertificatePart(
            action: result.serverCertificateAction.rawValue, certificate: CertificateReport(result.serverCertificate))
    }
}
