internal import TunnelAPI
public import TunnelPKI

/// `setup verify`: everything that is wrong with a set of certificates and keys, whoever made them.
public struct CredentialCheck: Sendable {
    /// What to look at. What is absent is not checked, except that a part without which another says nothing is missed.
    public struct Files: Sendable {
        public var caCertificate: [UInt8]?
        public var caKey: [UInt8]?
        public var serverCertificate: [UInt8]?
        public var serverKey: [UInt8]?
        /// `nil` takes the one that the server certificate's own wildcard is for.
        public var tunnelDomain: String?

        public init(
            caCertificate: [UInt8]? = nil, caKey: [UInt8]? = nil, serverCertificate: [UInt8]? = nil,
            serverKey: [UInt8]? = nil, tunnelDomain: String? = nil
        ) {
            (self.caCertificate, self.caKey) = (caCertificate, caKey)
            (self.serverCertificate, self.serverKey, self.tunnelDomain) = (serverCertificate, serverKey, tunnelDomain)
        }

        /// The files of a store.
        public init(_ contents: StoreContents) {
            self.init(
                caCertificate: contents[.caCertificate], caKey: contents[.caKey],
                serverCertificate: contents[.serverCertificate], serverKey: contents[.serverKey],
                tunnelDomain: contents.text(.tunnelDomain))
        }
    }

    /// What was found.
    public struct Report: Sendable {
        /// In the order CA, server certificate, keys.
        public let findings: [Finding]
        /// What could not be checked because something is not there, in words.
        public let missing: [String]
        public let ca: Certificate?
        public let serverCertificate: Certificate?
        /// What the server certificate was held against; `nil` if nothing says it, or what says it is no domain.
        public let tunnelDomain: String?
        /// Whether the domain is only what the server certificate says of itself.
        public let isDomainAssumed: Bool

        /// Whether the set can be used as it is: nothing missing, no error, no end within the time asked for.
        public var isGood: Bool {
            missing.isEmpty && !findings.contains { $0.severity == .error || $0.rule == .expiresSoon }
        }
    }

    private let requirements: CertificateRequirements

    /// - Parameters:
    ///   - now: seconds since 1970-01-01 00:00 UTC.
    ///   - expiresWithin: certificates that end within this time are reported.
    public init(now: Int64, expiresWithin: Duration = .zero) {
        requirements = CertificateRequirements(now: now, expiryWarning: expiresWithin)
    }

    public func check(_ files: Files) -> Report {
        var findings: [Finding] = []
        var missing: [String] = []
        if let ca = files.caCertificate {
            findings += requirements.checkCA(file: ca)
            if let key = files.caKey {
                findings += requirements.checkKey(file: key, certificateFile: ca).map { $0.about(.caKey) }
            }
        } else {
            missing.append("the CA certificate (\(StoreKey.caCertificate))")
        }
        let serverCertificate = first(files.serverCertificate)
        let domain = files.tunnelDomain ?? serverCertificate.flatMap(Self.ownDomain)
        if domain == nil {
            missing.append("the tunnel's domain, which --tunnel-domain gives too (\(StoreKey.tunnelDomain))")
        }
        if let server = files.serverCertificate {
            if let ca = files.caCertificate, let domain {
                findings += requirements.checkServer(file: server, caFile: ca, tunnelDomain: domain)
            }
            if let key = files.serverKey {
                findings += requirements.checkKey(file: key, certificateFile: server)
            } else {
                missing.append("the server's key (\(StoreKey.serverKey))")
            }
        } else {
            missing.append("the server certificate (\(StoreKey.serverCertificate))")
        }
        return Report(
            findings: findings, missing: missing, ca: first(files.caCertificate),
            serverCertificate: serverCertificate,
            // Not repeated else: a key may lie in its file.
            tunnelDomain: domain.flatMap { Tunnel.isDomain($0) ? $0 : nil },
            isDomainAssumed: files.tunnelDomain == nil && domain != nil)
    }

    /// What the certificate's first wildcard stands below.
    private static func ownDomain(_ certificate: Certificate) -> String? {
        certificate.dnsNames.lazy.filter { $0.hasPrefix("*.") }.map { $0.dropFirst(2).lowercased() }
            .first(where: Tunnel.isDomain)
    }

    private func first(_ file: [UInt8]?) -> Certificate? {
        file.flatMap { (try? Certificate.all(pem: $0))?.first }
    }
}
