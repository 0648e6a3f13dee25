import Testing
import TunnelCore

@testable import TunnelAPI

/// One operation of the client, as rows of tables.
struct Operation: Sendable, CustomTestStringConvertible {
    let name: String
    let method: String
    /// Behind the generation's base path.
    let path: String
    let body: String?
    let answer: String
    /// What the client sends again after a failure that leaves open whether it was acted on.
    let isRepeated: Bool
    let changes: Bool
    let run: @Sendable (TunnelsClient) async throws(APIError) -> Void

    var testDescription: String { name }

    private init(
        _ name: String, _ method: String, _ path: String, body: String? = nil, _ answer: String,
        isRepeated: Bool = true, changes: Bool = false,
        _ run: @escaping @Sendable (TunnelsClient) async throws(APIError) -> Void
    ) {
        (self.name, self.method, self.path, self.body) = (name, method, path, body)
        (self.answer, self.isRepeated, self.changes, self.run) = (answer, isRepeated, changes, run)
    }

    private static let tunnel = "/\(Sample.tunnelID)"
    private static let certificate = "\(tunnel)/certificates/\(Sample.certificateID)"

    static let create = Operation(
        "create", "POST", "", body: #"{"display_name":"Production"}"#, Sample.tunnel, isRepeated: false, changes: true
    ) { (client) throws(APIError) in _ = try await client.createTunnel(displayName: "Production") }

    static let addCertificate = Operation(
        "add certificate", "POST", "\(tunnel)/certificates",
        body: #"{"ca_certificate_pem":"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"}"#,
        Sample.certificate, isRepeated: false, changes: true
    ) { (client) throws(APIError) in _ = try await client.addCertificate(Sample.pem, to: Sample.tunnelID) }

    static let list = Operation("list", "GET", "?limit=100", #"{"data":[\#(Sample.tunnel)],"next_page":null}"#) {
        (client) throws(APIError) in _ = try await client.tunnels()
    }

    static let rotate = Operation(
        "rotate", "POST", "\(tunnel)/rotate_token", body: #"{"reason":"leak"}"#, Sample.token, changes: true
    ) { (client) throws(APIError) in _ = try await client.rotateToken(of: Sample.tunnelID, reason: "leak") }

    /// All that both generations have.
    static let common = [
        list,
        Operation(
            "list archived", "GET", "?limit=100&include_archived=true", #"{"data":[]}"#
        ) { (client) throws(APIError) in _ = try await client.tunnels(includeArchived: true) },
        Operation("get", "GET", tunnel, Sample.tunnel) { (client) throws(APIError) in
            _ = try await client.tunnel(Sample.tunnelID)
        },
        Operation("archive", "POST", "\(tunnel)/archive", body: "", Sample.tunnel, changes: true) {
            (client) throws(APIError) in _ = try await client.archiveTunnel(Sample.tunnelID)
        },
        Operation("reveal", "POST", "\(tunnel)/reveal_token", body: "", Sample.token) { (client) throws(APIError) in
            _ = try await client.revealToken(of: Sample.tunnelID)
        },
        rotate,
        Operation("rotate without reason", "POST", "\(tunnel)/rotate_token", body: "{}", Sample.token, changes: true) {
            (client) throws(APIError) in _ = try await client.rotateToken(of: Sample.tunnelID)
        },
        addCertificate,
        Operation("list certificates", "GET", "\(tunnel)/certificates?limit=100", #"{"data":[\#(Sample.certificate)]}"#)
        {
            (client) throws(APIError) in _ = try await client.certificates(of: Sample.tunnelID)
        },
        Operation("get certificate", "GET", certificate, Sample.certificate) { (client) throws(APIError) in
            _ = try await client.certificate(Sample.certificateID, of: Sample.tunnelID)
        },
        Operation("archive certificate", "POST", "\(certificate)/archive", body: "", Sample.certificate, changes: true)
        {
            (client) throws(APIError) in
            _ = try await client.archiveCertificate(Sample.certificateID, of: Sample.tunnelID)
        },
    ]

    static let all = common + [create]
}
