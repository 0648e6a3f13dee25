import TunnelAPI
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
        "tunnel-domain", takes: "DOMAIN", "the tunnel's domain; default: the stored one, else that of the certificate")
    private static let api = CommandFlag(
        "api", "also compare what is stored with the API: the tunnel, its CA, and the token in force")
    private static let expiresWithin = CommandFlag(
        "expires-within", takes: "DURATION", "a certificate that ends within this time is a finding, for example 720h")

    static let command = SetupCommand(
        path: ["verify"], summary: "check certificates and keys against all that a tunnel needs of them",
        details: "What is stored, or the files that are named. Exit status 1 and the findings if something is wrong.",
        flags: [
            .output, .outputOwner, ca, cert, key, domain, expiresWithin, api, .apiURL, .apiGeneration, .json,
        ],
        example: "setup verify --output=dir:/data --expires-within=720h"
    ) { invocation in
        let within = try invocation.duration(expiresWithin) ?? .zero
        let client = invocation.arguments.has(api) ? try invocation.client() : nil
        let (files, stored, place, note) = try await files(invocation)
        var problems: [String]?
        if let client {
            guard let stored else { throw apiWithoutOutput }
            problems = try await RegistrationCheck(client: client).check(stored, at: place).problems
        }
        let check = CredentialCheck(now: SystemClock.now().seconds, expiresWithin: within)
        let report = check.check(files)
        let isGood = report.isGood && problems?.isEmpty ?? true
        if invocation.arguments.has(.json) {
            invocation.console.show(json: VerifyReport(report, isGood, problems, place, note))
        } else {
            let lines =
                lines(report, names(invocation)) + (problems ?? []).map { "API: \($0)" }
                + (note.map { ["note: \($0)"] } ?? [])
            for line in lines { invocation.console.show(line) }
            invocation.console.show("\(place): \(isGood ? "good" : "not good")")
        }
        return isGood ? .done : .failed
    }

    static func asksAPI(_ invocation: Invocation) -> Bool { invocation.arguments.has(api) }
    static func namesFiles(_ invocation: Invocation) -> Bool { !named(invocation).isEmpty }
    private static func named(_ invocation: Invocation) -> [CommandFlag] {
        [ca, cert, key].filter { invocation.value($0) != nil }
    }

    /// What does not go together.
    static func misuses(_ invocation: Invocation) -> [UsageError] {
        let named = named(invocation)
        guard let first = named.first else {
            do throws(UsageError) { _ = try OutputPlace.required(invocation) } catch { return [error] }
            return []
        }
        var misuses: [UsageError] = []
        if invocation.value(.output) != nil {
            misuses.append(UsageError("--output and --\(first.name) are two ways to say what to check: give one"))
        } else if invocation.value(.outputOwner) != nil {
            misuses.append(OutputPlace.ownerWithoutFolder)
        }
        if named.count < 3 { misuses.append(UsageError("--ca, --cert and --key go together")) }
        if asksAPI(invocation), invocation.value(.output) == nil { misuses.append(apiWithoutOutput) }
        return misuses
    }

    private static let apiWithoutOutput = UsageError("--api compares what is stored: it goes with --output")

    private static func files(
        _ invocation: Invocation
    ) async throws -> (CredentialCheck.Files, stored: StoreContents?, place: String, note: String?) {
        if let misuse = misuses(invocation).first { throw misuse }
        let tunnelDomain = invocation.value(domain)
        guard !namesFiles(invocation) else {
            let files = CredentialCheck.Files(
                caCertificate: try InputFile.read(try invocation.required(ca)),
                serverCertificate: try InputFile.read(try invocation.required(cert)),
                serverKey: try InputFile.read(try invocation.required(key)),
                tunnelDomain: tunnelDomain)
            return (files, nil, try invocation.required(cert), nil)
        }
        let store = try await OutputPlace.required(invocation).open(for: .reading, invocation)
        let contents: StoreContents
        do throws(StoreError) { contents = try await store.load() } catch {
            throw SetupError(error, at: store.location)
        }
        var files = CredentialCheck.Files(contents)
        if let tunnelDomain {
            if let stored = files.tunnelDomain, stored.lowercased() != tunnelDomain.lowercased() {
                let name = Tunnel.isDomain(stored) ? stored : "another domain"
                throw SetupError(
                    .state, "\(store.location) belongs to \(name), not to that of --tunnel-domain",
                    remedy: "name the output of that tunnel, or leave --tunnel-domain out")
            }
            files.tunnelDomain = tunnelDomain
        }
        return (files, contents, store.location, UnfinishedWork(in: contents).map(note))
    }

    private static func note(_ work: UnfinishedWork) -> String {
        switch work {
        case .provisioning: "a run was cut off; run setup init or setup rotate-ca again, whichever it was"
        case .revocation:
            "the CA was changed and the old one is still registered; revoke it with setup rotate-ca --finish when "
                + "traffic was seen with the new certificate"
        }
    }

    /// What the files are called, of the output or on the command line.
    private static func names(_ invocation: Invocation) -> [Finding.Document: String] {
        let isNamed = namesFiles(invocation)
        let all: [(Finding.Document, CommandFlag, StoreKey)] = [
            (.ca, ca, .caCertificate), (.server, cert, .serverCertificate), (.key, key, .serverKey),
        ]
        var names: [Finding.Document: String] = [.caKey: StoreKey.caKey.rawValue]
        for (document, flag, stored) in all {
            names[document] = (isNamed ? invocation.value(flag) : nil) ?? stored.rawValue
        }
        return names
    }

    private static func lines(
        _ report: CredentialCheck.Report, _ names: [Finding.Document: String]
    ) -> [String] {
        var lines: [String] = []
        for (name, certificate) in [("CA", report.ca), ("server certificate", report.serverCertificate)] {
            guard let certificate else { continue }
            lines.append(
                "\(name): \(certificate.keyAlgorithm), valid until \(UnixTime(seconds: certificate.notAfter).toTheSecond), "
                    + "fingerprint \(certificate.fingerprint)")
        }
        if let domain = report.tunnelDomain {
            let caution = ", as the certificate says of itself: compare it with the Console"
            lines.append("tunnel's domain: \(domain)\(report.isDomainAssumed ? caution : "")")
        }
        lines += report.missing.map { "missing: \($0)" }
        if !report.missing.isEmpty {
            lines.append("  remedy: run setup init, or setup generate-certs, which makes it by hand")
        }
        lines += report.findings.map { finding in
            let partner = finding.document == .caKey ? Finding.Document.ca : .server
            let documents = finding.rule == .keyMatches ? [finding.document, partner] : [finding.document]
            let files = documents.map { "\($0.rawValue) \(names[$0] ?? "")" }.joined(separator: ", ")
            return "\(finding.severity): \(files): \(finding.found). Required: \(finding.rule.requirement). "
                + "Remedy: \(finding.remedy). [\(finding.rule.id)]"
        }
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
    let tunnelDomain: String?
    /// What the API does not know so; `nil` where it was not asked.
    let api: [String]?
    let note: String?

    init(_ report: CredentialCheck.Report, _ isGood: Bool, _ problems: [String]?, _ place: String, _ note: String?) {
        (checked, good, missing, api) = (place, isGood, report.missing, problems)
        findings = report.findings.map { FindingReport($0) }
        ca = report.ca.map { CertificateReport($0) }
        serverCertificate = report.serverCertificate.map { CertificateReport($0) }
        (tunnelDomain, self.note) = (report.tunnelDomain, note)
    }
}
