@preconcurrency import Glibc  // C's variables, such as stderr
import TunnelAPI
import TunnelCore
import TunnelSetup

/// A place of one's own for a tunnel's credentials.
///
///     etcd-store ETCD PREFIX check              whether the place keeps the promises of a CredentialStore
///     etcd-store ETCD PREFIX provision SERVICE  what `setup init` does, into that place
@main enum EtcdStoreProgram {
    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            guard arguments.count >= 3 else { return usage() }
            let transport = try HTTPSTransport()
            let store = EtcdStore(service: try ServiceURL(arguments[0]), prefix: arguments[1], transport: transport)
            switch (arguments[2], arguments.count) {
            case ("check", 3):
                let broken = try await StoreContract(store: store).broken()
                for promise in broken { print("broken: \(promise)") }
                if !broken.isEmpty { exit(1) }
                print("all promises are kept")
            case ("provision", 4): try await provision(arguments[3], store, transport)
            default: usage()
            }
        } catch {
            fputs("\(error)\n", stderr)
            exit(1)
        }
    }

    private static func provision(_ service: String, _ store: EtcdStore, _ transport: HTTPSTransport) async throws {
        var environment: [String: String] = [:]
        for name in ["ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_ORGANIZATION_ID", "ANTHROPIC_IDENTITY_TOKEN"] {
            environment[name] = getenv(name).map { String(cString: $0) }
        }
        let client = TunnelsClient(
            service: try ServiceURL(service), credential: try APICredential(environment: environment),
            transport: transport)
        let context = SetupContext(
            now: { UnixTime(seconds: Int64(time(nil))) }, pause: { await transport.pause($0) })
        let options = ProvisioningOptions(
            displayName: "kept in etcd", tokenVersion: "1",
            serverCertificate: ServerCertificateOptions(keyType: .ecdsaP256))
        let result = try await Provisioner(client: client, store: store, options: options, context: context).run()
        print("\(result.tunnel.domain): \(result.isChanged ? "provisioned" : "nothing to do")")
    }

    private static func usage() {
        fputs("usage: etcd-store ETCD PREFIX check | provision SERVICE\n", stderr)
        exit(2)
    }
}
