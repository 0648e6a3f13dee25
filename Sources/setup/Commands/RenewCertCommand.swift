import TunnelCore
import TunnelSetup

/// `setup renew-cert`.
enum RenewCertCommand {
    private static let renewBefore = Flag(
        "renew-before", takes: "DURATION",
        "do nothing while more than this remains, for example 720h (default 0: always renew)")

    static let command = Command(
        path: ["renew-cert"], summary: "issue a new server certificate from the stored CA, without the API",
        details: "The proxy takes the new certificate up by itself; nothing has to be restarted.",
        flags: [.output, .certDuration, renewBefore, .keyType, .json],
        example: "setup renew-cert --output=dir:/data --renew-before=720h"
    ) { invocation in
        let options = try invocation.serverCertificate()
        let before = try invocation.duration(renewBefore) ?? .zero
        let store = try await OutputPlace.required(invocation).open(for: .changing, invocation)
        let result = try await CertificateRenewal(
            store: store, options: options, renewBefore: before, context: invocation.context
        ).run()
        if invocation.arguments.has(.json) {
            invocation.console.show(
                json: Report(
                    output: store.location, renewed: result.isRenewed,
                    certificate: CertificateReport(result.certificate)))
        }
        return .done
    }

    private struct Report: Encodable {
        let output: String
        let renewed: Bool
        let certificate: CertificateReport
    }
}
