import TunnelTLS

/// The two ends of TLS for targets that need them. Certificate and key were made for this, and are of use to nobody.
enum FuzzIdentity {
    static let serverName = "localhost"

    static func server() throws -> TLSServerContext {
        let identity = try TLSIdentity(certificates: Array(certificate.utf8), privateKey: Array(privateKey.utf8))
        return try TLSServerContext(identity: identity, options: TLSServerOptions(alpn: ["http/1.1"]))
    }

    static func client() throws -> TLSClientContext {
        try TLSClientContext(
            trust: TrustStore(pem: Array(certificate.utf8)), options: TLSClientOptions(alpn: ["http/1.1"]))
    }

    private static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBRTCB7KADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBGZ1enowIBcN
        MjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMA8xDTALBgNVBAMMBGZ1enow
        WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASdP37/B/cvgjR37/gW31vsxMrh7XZZ
        7tPHIMU14DQgi6xiBgVPApMMkgaMyWmYL7ADk4he7nZm9Vh1lG85EMJbozcwNTAU
        BgNVHREEDTALgglsb2NhbGhvc3QwHQYDVR0OBBYEFBNgvEUUMKWMcb2mlm9fcP2f
        04NKMAoGCCqGSM49BAMCA0gAMEUCIQCtvKpZMJiV2Curpzt0kActxAMmeVncZLtQ
        mwcSzTPBqwIgLxQYtyA+I/sWhQ7wqwHrg0F/qyoCm9J1jgaNfHk/HPU=
        -----END CERTIFICATE-----
        """
    private static let privateKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+4dkm+fBD34FGWW3
        7fRUiyxCSSFR3iwmVNwpSGlqfFChRANCAASdP37/B/cvgjR37/gW31vsxMrh7XZZ
        7tPHIMU14DQgi6xiBgVPApMMkgaMyWmYL7ADk4he7nZm9Vh1lG85EMJb
        -----END PRIVATE KEY-----
        """
}
