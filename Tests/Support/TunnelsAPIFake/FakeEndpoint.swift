/// What a request asks for, by method and path.
enum FakeEndpoint: Equatable {
    case tokenExchange
    case tunnels(FakeGeneration, FakeOperation)

    /// - Throws: 404 for everything that is not in the table.
    init(_ request: FakeRequest) throws(FakeError) {
        if request.path == "/v1/oauth/token" {
            guard request.method == "POST" else { throw .notFound }
            self = .tokenExchange
            return
        }
        for generation in FakeGeneration.allCases {
            guard let rest = FakeEndpoint.segments(of: request.path, behind: generation.basePath) else { continue }
            guard let operation = FakeOperation(request.method, rest, generation) else { continue }
            self = .tunnels(generation, operation)
            return
        }
        throw .notFound
    }

    /// The path's segments behind `base`; `nil` if it does not begin with it, or if one of them is no id or name.
    private static func segments(of path: String, behind base: String) -> [String]? {
        guard path.hasPrefix(base) else { return nil }
        let rest = path.dropFirst(base.utf8.count)
        guard !rest.isEmpty else { return [] }
        guard rest.first == "/" else { return nil }
        let segments = rest.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        return segments.allSatisfy(isIdentifier) ? segments : nil
    }

    static func isIdentifier(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 == 0x5F || isLetterOrDigit($0) }
    }

    static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20)
    }
}

/// The ten operations on tunnels.
enum FakeOperation: Equatable {
    case createTunnel
    case listTunnels
    case getTunnel(String)
    case archiveTunnel(String)
    case revealToken(String)
    case rotateToken(String)
    case addCertificate(String)
    case listCertificates(String)
    case getCertificate(String, of: String)
    case archiveCertificate(String, of: String)

    init?(_ method: String, _ segments: [String], _ generation: FakeGeneration) {
        let tunnel = segments.first ?? ""
        switch (method, segments.count, segments.dropFirst().first, segments.last) {
        case ("GET", 0, _, _): self = .listTunnels
        // The first generation's tunnels are made in the Console only.
        case ("POST", 0, _, _) where generation == .second: self = .createTunnel
        case ("GET", 1, _, _): self = .getTunnel(tunnel)
        case ("POST", 2, "archive", _): self = .archiveTunnel(tunnel)
        case ("POST", 2, "reveal_token", _): self = .revealToken(tunnel)
        case ("POST", 2, "rotate_token", _): self = .rotateToken(tunnel)
        case ("POST", 2, "certificates", _): self = .addCertificate(tunnel)
        case ("GET", 2, "certificates", _): self = .listCertificates(tunnel)
        case ("GET", 3, "certificates", let certificate?): self = .getCertificate(certificate, of: tunnel)
        case ("POST", 4, "certificates", "archive"): self = .archiveCertificate(segments[2], of: tunnel)
        default: return nil
        }
    }
}
