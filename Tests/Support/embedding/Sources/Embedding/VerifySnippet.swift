// docs/embedding.md
import TunnelSetup

/// Everything that is wrong with a folder of credentials, and whether a certificate ends within a month.
func problems(in folder: String, now: Int64) async throws -> [String] {
    let store = try DirectoryStore.open(path: folder, for: .reading)  // takes no lock
    let check = CredentialCheck(now: now, expiresWithin: .seconds(30 * 86_400))
    let report = check.check(CredentialCheck.Files(try await store.load()))
    return report.missing + report.findings.map(\.description)
}
// docs/embedding.md
