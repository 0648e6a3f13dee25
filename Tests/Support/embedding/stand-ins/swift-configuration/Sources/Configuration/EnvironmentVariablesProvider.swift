import Glibc

/// `tls.certFile` is `TLS_CERT_FILE`. Knows those that the example asks for.
public struct EnvironmentVariablesProvider: Sendable {
    let values: [String: String]

    public init() {
        let names = [
            "tls.certFile": "TLS_CERT_FILE", "tls.keyFile": "TLS_KEY_FILE", "host": "HOST", "upstream": "UPSTREAM",
            "port": "PORT",
        ]
        values = names.compactMapValues { getenv($0).map { String(cString: $0) } }
    }
}
