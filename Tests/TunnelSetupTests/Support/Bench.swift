import Synchronization
import TunnelAPI
import TunnelCore
import TunnelPKI
import TunnelsAPIFake

@testable import TunnelSetup

/// A fake API with one rule, a store, and setup between them.
final class Bench: Sendable {
    let rule: FakeRule
    let api: FakeTunnelsAPI
    let store: MemoryStore
    private let lines = Mutex<[String]>([])
    private let waits = Mutex<[Duration]>([])
    private let forgery = Mutex<(@Sendable (_ path: String, _ body: String) -> String)?>(nil)

    /// Answers come changed from now on.
    func forge(_ change: @escaping @Sendable (_ path: String, _ body: String) -> String) {
        forgery.withLock { $0 = change }
    }

    private struct ForgingTransport: HTTPTransport {
        let transport: FakeTransport
        let change: @Sendable (_ path: String, _ body: String) -> String

        func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
            var response = try await transport.send(request)
            let body = String(decoding: response.body, as: UTF8.self)
            response.body = Array(change("\(request.method) \(request.target)", body).utf8)
            return response
        }

        func pause(_ duration: Duration) async { await transport.pause(duration) }
    }

    init(_ generation: FakeGeneration = .second, store: MemoryStore = MemoryStore()) {
        rule = FakeRule(scope: generation.scope)
        // It goes on with the pauses alone: a busy machine's time between two steps is none of the test's.
        let start = SystemTime.now()
        api = FakeTunnelsAPI(FakeConfiguration(rules: [rule]), clock: { start })
        self.store = store
    }

    /// What was told, over all runs.
    var told: [String] { lines.withLock { $0 } }
    var pauses: [Duration] { waits.withLock { $0 } }

    var client: TunnelsClient {
        get throws {
            let identity = try WorkloadIdentity(
                federationRuleID: rule.id, organizationID: api.configuration.organizationID, workspaceID: nil,
                identityToken: .value(Secret(api.identityToken(for: rule))))
            let (api, transport) = (api, FakeTransport(api))
            let forging = forgery.withLock { $0.map { ForgingTransport(transport: transport, change: $0) } }
            return TunnelsClient(
                service: try ServiceURL("https://api.test"), credential: .workloadIdentity(identity),
                transport: forging ?? transport, now: { api.now })
        }
    }

    var context: SetupContext {
        SetupContext(
            now: { [api] in api.now },
            pause: { [self] duration in
                waits.withLock { $0.append(duration) }
                api.advance(bySeconds: Int(duration.components.seconds))
            },
            report: { [self] line in lines.withLock { $0.append(line) } })
    }

    /// ECDSA where a test does not ask for RSA, because that takes a second each time.
    static func options(
        tunnelID: String? = nil, displayName: String? = nil, version: String? = nil, keyType: KeyType? = .ecdsaP256
    ) -> ProvisioningOptions {
        ProvisioningOptions(
            tunnelID: tunnelID, displayName: displayName, tokenVersion: version,
            serverCertificate: ServerCertificateOptions(keyType: keyType))
    }

    @discardableResult
    func provision(_ options: ProvisioningOptions = Bench.options()) async throws -> ProvisioningResult {
        try await Provisioner(client: try client, store: store, options: options, context: context).run()
    }

    func plan(_ options: ProvisioningOptions = Bench.options()) async throws -> Provisioner.Plan {
        try await Provisioner(client: try client, store: store, options: options, context: context).plan()
    }

    var rotation: CARotation {
        get throws {
            CARotation(
                client: try client, store: store, options: ServerCertificateOptions(keyType: .ecdsaP256),
                context: context)
        }
    }

    // MARK: What holds after every finished run

    /// Everything that is wrong with what is stored, seen with the API's state; empty if all is in order.
    var defects: [String] {
        var defects: [String] = []
        let contents = store.contents
        let id = contents.text(.tunnelID)
        let tunnel = api.tunnels.first { $0.id == id && $0.archivedAt == nil }
        if tunnel == nil { defects.append("the stored tunnel is not there") }
        if tunnel?.domain != contents.text(.tunnelDomain) { defects.append("wrong domain") }
        let certificate = (contents[.caCertificate]).flatMap { try? Certificate(pem: $0) }
        let isRegistered = api.certificates.contains {
            $0.tunnelID == id && $0.archivedAt == nil && $0.fingerprint == certificate?.fingerprint
        }
        if !isRegistered { defects.append("the stored CA is not registered") }
        if tunnel.map({ $0.token != contents.text(.tunnelToken) }) ?? true {
            defects.append("the token is not in force")
        }
        let check = CredentialCheck(now: api.now.seconds).check(CredentialCheck.Files(contents))
        defects += check.missing + check.findings.map(\.description)
        if contents[.caKey] == nil { defects.append("no CA key") }
        return defects
    }
}
