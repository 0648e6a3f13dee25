import TunnelAPI
import TunnelCLI
import TunnelCore
import TunnelPKI
import TunnelSetup

/// A failure as people and programs read it.
struct FailureReport: Encodable {
    struct Failure: Encodable {
        let hop: String
        let reason: String
        let remedy: String
        let requestID: String?
        let isTemporary: Bool
        let findings: [FindingReport]?
        var problems: [Problem]?
    }
    /// One of several settings that are missing or wrong.
    struct Problem: Encodable {
        let hop: String
        let reason: String
        let remedy: String?

        init(_ problem: SettingsError.Problem) {
            (hop, reason) = (problem.hop, problem.reason)
            remedy = problem.remedy.isEmpty ? nil : problem.remedy
        }
    }
    let error: Failure
    let text: String

    private enum CodingKeys: CodingKey { case error }

    init(_ error: any Error) {
        let failure =
            switch error {
            case let error as SetupError: error
            case let error as APIError: SetupError(error)
            default: SetupError(.state, "\(error)", remedy: "")
            }
        text = failure.description
        self.error = Failure(
            hop: failure.hop.rawValue, reason: failure.reason, remedy: failure.remedy, requestID: failure.requestID,
            isTemporary: failure.isTemporary,
            findings: failure.findings.isEmpty ? nil : failure.findings.map { FindingReport($0) })
    }

    /// Several settings are wrong.
    init(_ error: SettingsError, remedy: String) {
        text = error.reason
        self.error = Failure(
            hop: error.status == .usage ? "usage" : error.problems[0].hop, reason: error.reason, remedy: remedy,
            requestID: nil, isTemporary: false, findings: nil, problems: error.problems.map { Problem($0) })
    }

    /// The command line or the environment is wrong.
    init(_ error: UsageError, remedy: String) {
        text = error.reason
        self.error = Failure(
            hop: "usage", reason: error.reason, remedy: remedy, requestID: nil, isTemporary: false, findings: nil)
    }
}

/// One thing that is wrong with a certificate or a key.
struct FindingReport: Encodable {
    let rule: String
    let severity: String
    let document: String
    let found: String
    let requirement: String
    let remedy: String

    init(_ finding: Finding) {
        (rule, severity, document) = (finding.rule.id, finding.severity.rawValue, finding.document.rawValue)
        (found, requirement, remedy) = (finding.found, finding.rule.requirement, finding.remedy)
    }
}

/// A certificate in a result.
struct CertificateReport: Encodable {
    let fingerprint: String
    let notBefore: String
    let notAfter: String
    let keyType: String
    let dnsNames: [String]?

    init(_ certificate: Certificate) {
        fingerprint = certificate.fingerprint
        notBefore = UnixTime(seconds: certificate.notBefore).toTheSecond
        notAfter = UnixTime(seconds: certificate.notAfter).toTheSecond
        keyType = certificate.keyAlgorithm.description
        dnsNames = certificate.dnsNames.isEmpty ? nil : certificate.dnsNames
    }
}
