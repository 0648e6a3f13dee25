@preconcurrency import Glibc  // C's variables, such as stderr
import TunnelAPI
import TunnelCore
import TunnelSetup

/// Provisions a tunnel from a program: what `setup init` does, and then what `setup renew-cert` and `setup verify` do.
///
///     provision SERVICE FOLDER [--dry-run]
///
/// SERVICE is the address of the Tunnels API. Who we are is in the environment, as `setup` takes it. It can be run again after
/// a failure, wherever that was: it goes on where the last run was cut off.
@main enum Provision {
    static func main() async {
        var arguments = CommandLine.arguments.dropFirst()
        let isDryRun = arguments.last == "--dry-run"
        if isDryRun { arguments.removeLast() }
        guard arguments.count == 2, let service = arguments.first, let folder = arguments.last else {
            fputs("usage: provision SERVICE FOLDER [--dry-run]\n", stderr)
            exit(2)
        }
        do {
            try await run(service, folder, isDryRun: isDryRun)
        } catch let error as SetupError {
            // It says at which hop, and what to do. `isTemporary` tells what may work later from what will not.
            fputs("\(error)\n", stderr)
            exit(error.isTemporary ? 3 : 1)
        } catch {
            fputs("\(error)\n", stderr)
            exit(1)
        }
    }

    private static func run(_ service: String, _ folder: String, isDryRun: Bool) async throws {
        let environment = variables()
        let transport = try HTTPSTransport(proxies: try ProxySettings(environment: environment))
        let client = TunnelsClient(
            service: try ServiceURL(service), credential: try APICredential(environment: environment),
            transport: transport)
        // Time and waiting come in, so that a test can give others.
        let context = SetupContext(
            now: { UnixTime(seconds: Int64(time(nil))) }, pause: { await transport.pause($0) },
            report: { print("  \($0)") })
        let options = ProvisioningOptions(
            displayName: "from a program", tokenVersion: "1",
            serverCertificate: ServerCertificateOptions(keyType: .ecdsaP256))

        // Holds the folder's lock for as long as it lives.
        let store = try DirectoryStore.open(path: folder, for: isDryRun ? .reading : .writing)
        let provisioner = Provisioner(client: client, store: store, options: options, context: context)
        if isDryRun {
            for step in try await provisioner.plan().steps { print(step) }
            return
        }
        let result = try await provisioner.run()
        print("\(result.tunnel.id) \(result.tunnel.domain): \(result.isChanged ? "provisioned" : "nothing to do")")

        // What a timer would do every day.
        let renewal = CertificateRenewal(store: store, renewBefore: .seconds(30 * 86_400), context: context)
        print(try await renewal.run().isRenewed ? "renewed" : "not yet to be renewed")
        let check = CredentialCheck(now: Int64(time(nil)), expiresWithin: .seconds(7 * 86_400))
        let report = check.check(CredentialCheck.Files(try await store.load()))
        for problem in report.missing + report.findings.map(\.description) { print("problem: \(problem)") }
    }

    /// The environment, without Foundation.
    private static func variables() -> [String: String] {
        var variables: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            let parts = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
            next += 1
        }
        return variables
    }
}
