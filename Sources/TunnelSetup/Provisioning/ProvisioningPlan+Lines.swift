internal import TunnelAPI
internal import TunnelPKI

extension ProvisioningPlan {
    /// The plan in words, a line for each part.
    var lines: [String] { [tunnelLine, authorityLine, tokenLine, serverCertificateLine] }

    private var tunnelLine: String {
        switch tunnel {
        case .reuse(let tunnel): "use the stored tunnel \(tunnel.id) (\(tunnel.domain))"
        case .attach(let tunnel): "attach to tunnel \(tunnel.id) (\(tunnel.domain))"
        case .create(let name, isResumed: false): "create a tunnel named \"\(name)\""
        case .create(let name, isResumed: true):
            "look for the tunnel that an earlier run meant to create, and create one named \"\(name)\" if it is not there"
        }
    }

    private var authorityLine: String {
        let fingerprint = stored?.certificate.fingerprint ?? "unknown"
        return switch authority {
        case .reuse(let id): "use the stored CA, registered as \(id) (fingerprint \(fingerprint))"
        case .adopt(let id): "use the CA that an earlier run registered as \(id) (fingerprint \(fingerprint))"
        case .register: "register the CA that is there (fingerprint \(fingerprint))"
        case .generate: "make a CA and register it"
        }
    }

    private var tokenLine: String {
        switch token {
        case .keep: "keep the stored tunnel token"
        case .record(let version): "keep the stored tunnel token, and remember it as version \(version)"
        case .reveal: "fetch the tunnel token"
        case .rotate(let version, isResumed: false): "rotate the tunnel token to version \(version)"
        case .rotate(let version, isResumed: true):
            "finish the rotation of the tunnel token to version \(version) that an earlier run began"
        }
    }

    private var serverCertificateLine: String {
        switch serverCertificate {
        case .keep: "keep the stored server certificate"
        case .issue(let type, let reason): "issue a server certificate with a new key, \(type.rawValue) (\(reason))"
        }
    }
}
