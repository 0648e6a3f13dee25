import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelPKI
import TunnelSetup

/// `setup verify`.
enum VerifyCommand {
    private static let ca = CommandFlag("ca", takes: "FILE", "the CA's certificate, as it is registered")
    private static let cert = CommandFlag("cert", takes: "FILE", "the server's certificate")
    private static let key = CommandFlag("key", takes: "FILE", "the server's private key")
    private static let domain = CommandFlag(
        "tunnel-domain", takes: "DOMAIN", "the tunnel's domain, with the three files")
    private static let expiresWithin = CommandFlag(
        "expires-within", takes: "DURATION", "a certificate that ends within this time is a finding, for example 720h")

    static let command = SetupCommand(
        path: ["verify"], summary: "check certificates and keys against all that a tunnel needs of them",
        details: "What is stored, or the files that are named. Exit status 1 and the findings if something is wrong.",
        flags: [.output, .outputOwner, ca, cert, key, domain, expiresWithin, .json],
        example: "setup verify --output=dir:/data --expires-within=720h"
    ) { invocation in
        let within = try invocation.duration(expiresWithin) ?? .zero
        let (files, place, note) = try await files(invocation)
        let check = CredentialCheck(now: SystemClock.now().seconds, expiresWithin: within)
        let report = check.check(files)
        if invocation.arguments.has(.json) {
            invocation.console.show(json: VerifyReport(report, place, note))
        } else {
            for line in lines(report, place, note) { invocation.console.show(line) }
        }
        return report.isGood ? .done : .failed
    }

    private static func files(
        _ invocation: Invocation
    ) async throws -> (CredentialCheck.Files, place: String, note: String?) {
        let named = [ca, cert, key, domain].filter { invocation.value($0) != nil }
        guard named.isEmpty else {
            guard invocation.value(.output) == nil else {
                throw UsageError("--output and --\(named[0].name) are two ways to say what to check: give one")
            }
            guard invocation.value(.outputOwner) == nil else { throw OutputPlace.ownerWithoutFolder }
            guard named.count == 4 else { throw UsageError("--ca, --cert, --key and --tunnel-domain go together") }
            let files = CredentialCheck.Files(
                caCertificate: try InputFile.read(try invocation.required(ca)),
                serverCertificate: try InputFile.read(try invocation.required(cert)),
                serverKey: try InputFile.read(try invocation.required(key)),
                tunnelDomain: try invocation.required(domain))
            return (files, try invocation.required(cert), nil)
        }
        let store = try await OutputPlace.required(invocation).open(for: .reading, invocation)
        let contents: StoreContents
        do throws(StoreError) { contents = try await store.load() } catch {
            throw SetupError(error, at: store.location)
        }
        return (CredentialCheck.Files(contents), store.location, UnfinishedWork(in: contents).map(note))
    }

    private static func note(_ work: UnfinishedWork) -> String {
        switch work {
        case .provisioning: "a run was cut off; run setup init or setup rotate-ca again, whichever it was"
        case .revocation:
            "the CA was changed and the old one is still registered; revoke it with setup rotate-ca --finish when "
                + "traffic was seen with the new certificate"
        }
    }

    private static func lines(_ report: CredentialCheck.Report, _ place: String, _ note: String?) -> [String] {
        var lines: [String] = []
        for (name, certificate) in [("CA", report.ca), ("server certificate", report.serverCertificate)] {
            guard let certificate else { continue }
            lines.append(
                "\(name): \(certificate.keyAlgorithm), valid until \(UnixTime(seconds: certificate.notAfter).toTheSecond), "
                    + "fingerprint \(certificate.fingerprint)")
        }
        lines += report.missing.map { "missing: \($0)" } + report.findings.map(\.description)
        if let note { lines.append("note: \(note)") }
        lines.append("\(place): \(report.isGood ? "good" : "not good")")
        return lines
    }
}

/// The result of `setup verify`.
private struct VerifyReport: Encodable {
    let checked: String
    let good: Bool
    let missing: [String]
    let findings: [FindingReport]
    let ca: CertificateReport?
    let serverCertificate: CertificateReport?
    let note: String?

    init(_ report: CredentialCheck.Report, _ place: String, _ note: String?) {
        (checked, good, missing) = (place, report.isGood, report.missing)
        findings = report.findings.map { FindingReport($0) }
        ca = report.ca.map { CertificateReport($0) }
        serverCertificate = report.serverCertificate.map { CertificateReport($0) }
        self.note = note
    }
}
