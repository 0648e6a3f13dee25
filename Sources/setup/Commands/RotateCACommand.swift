import TunnelCLI
import TunnelCore
import TunnelSetup

/// `setup rotate-ca`.
enum RotateCACommand {
    private static let finish = CommandFlag(
        "finish", "revoke the old CA, once traffic was seen with the new certificate")

    static let command = SetupCommand(
        path: ["rotate-ca"], summary: "put a new CA in the place of the registered one, without downtime",
        details:
            "First without --finish: the new CA is registered beside the old one and the server certificate issued "
            + "from\nit. Then with --finish. Can be run again at any point; it says what is left to do.",
        flags: [.apiURL, .output, .outputOwner, finish, .certDuration, .keyType, .apiGeneration, .json],
        example: "setup rotate-ca --api-url=https://api.anthropic.com --output=dir:/data"
    ) { invocation in
        let options = try invocation.serverCertificate()
        let place = try OutputPlace.required(invocation)
        let client = try invocation.client()
        let store = try await place.open(for: .changing, invocation)
        let rotation = CARotation(
            client: client, store: store, options: options, context: invocation.context)
        let isFinish = invocation.arguments.has(finish)
        let result = isFinish ? try await rotation.finish() : try await rotation.start()
        if invocation.arguments.has(.json) {
            invocation.console.show(
                json: Report(
                    output: store.location, stage: result.stage.rawValue, ca: CertificateReport(result.ca),
                    caId: result.caID, previousCaId: result.previousID, next: result.next))
        }
        return .done
    }

    private struct Report: Encodable {
        let output: String
        let stage: String
        let ca: CertificateReport
        let caId: String?
        let previousCaId: String?
        let next: String?
    }
}
