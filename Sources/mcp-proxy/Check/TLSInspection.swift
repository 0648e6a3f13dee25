import TunnelTLS

/// TLS for looking at what a server shows, after it was not accepted.
enum TLSInspection {
    static func context() throws -> TLSClientContext {
        try TLSClientContext(inspecting: TLSClientOptions(alpn: ["http/1.1"]))
    }
}
