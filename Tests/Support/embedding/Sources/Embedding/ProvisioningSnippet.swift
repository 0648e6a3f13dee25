// docs/embedding.md
import TunnelAPI
import TunnelCore
import TunnelSetup

/// Does what `setup init` does; the tunnel's domain. Can be run again after a failure, wherever it was cut off.
func provision(
    _ client: TunnelsClient, into store: any CredentialStore, _ context: SetupContext
) async throws -> String {
    let options = ProvisioningOptions(displayName: "from my program", tokenVersion: "1")
    return try await Provisioner(client: client, store: store, options: options, context: context).run().tunnel.domain
}

/// Does what `setup renew-cert` does; whether it was necessary.
func renew(_ folder: String, _ context: SetupContext) async throws -> Bool {
    let store = try DirectoryStore.open(path: folder, for: .writing)  // locked until it is released
    let renewal = CertificateRenewal(store: store, renewBefore: .seconds(30 * 86_400), context: context)
    return try await renewal.run().isRenewed
}
// docs/embedding.md
