internal import TunnelCore
internal import TunnelIO
internal import TunnelPKI
internal import TunnelTLS

/// What the files of `route_options` held when a snapshot was made.
struct RouteFiles: Sendable {
    /// By path, their SHA-256: enough to see a change, and no secret.
    struct Digests: Equatable, Sendable {
        /// Those that connections are made by.
        var tls: [String: [UInt8]] = [:]
        /// The values of `set_headers`.
        var values: [String: [UInt8]] = [:]
    }

    /// The most that a field's value may have.
    static let maxValue = 8_192

    private(set) var digests = Digests()
    private let configuration: ProxyConfiguration

    /// - Parameter digests: of other tunnels' files.
    init(_ configuration: ProxyConfiguration, _ digests: Digests = Digests()) {
        (self.configuration, self.digests) = (configuration, digests)
    }

    // MARK: Looking again

    /// What the files hold now; those that cannot be read are left out.
    static func digests(of configuration: ProxyConfiguration) -> Digests {
        var files = RouteFiles(configuration)
        for options in configuration.perTunnel.flatMap(\.routeOptions.values) {
            for (field, path) in options.files {
                var content = (try? files.read(path, isTLS: field.hasPrefix("tls."))) ?? []
                content.wipe()
            }
        }
        return files.digests
    }

    private mutating func read(_ path: String, isTLS: Bool) throws(FileError) -> [UInt8] {
        let bytes = try FileBytes.read(path)
        let digest = try? bytes.sha256()
        if isTLS { digests.tls[path] = digest } else { digests.values[path] = digest }
        return bytes
    }

    // MARK: Reading

    private mutating func read(_ path: String, _ field: String, isTLS: Bool = true) throws(ConfigurationError)
        -> [UInt8]
    {
        do throws(FileError) { return try read(path, isTLS: isTLS) } catch {
            throw configuration.error(
                field, error.description, remedy: "name a file that the proxy's user, 65532 in the image, can read")
        }
    }

    /// - Parameter common: what is trusted where the route names no CA itself.
    mutating func context(
        _ tls: RouteOptions.TLS, of key: String, common: TrustStore?
    ) throws -> TLSClientContext {
        let field = "route_options.\(key).tls"
        let trust: TrustStore
        if let file = tls.caFile {
            let bytes = try read(file, "\(field).ca_file")
            do throws(TLSError) { trust = try TrustStore(pem: bytes) } catch {
                throw configuration.error(
                    "\(field).ca_file", "\(file): \(error.reason)",
                    remedy: "name a PEM file of the CAs that sign for this upstream")
            }
        } else {
            guard let common else { throw ProxyError("\(field): no trust anchor") }
            trust = common
        }
        return try TLSClientContext(
            trust: trust, options: TLSClientOptions(alpn: ["http/1.1"]), identity: try identity(tls, field))
    }

    private mutating func identity(_ tls: RouteOptions.TLS, _ field: String) throws(ConfigurationError) -> TLSIdentity?
    {
        guard let certFile = tls.clientCertFile, let keyFile = tls.clientKeyFile else { return nil }
        let certificate = try read(certFile, "\(field).client_cert_file")
        var key = try read(keyFile, "\(field).client_key_file")
        defer { key.wipe() }
        do throws(TLSIdentityError) { return try TLSIdentity(certificates: certificate, privateKey: key) } catch {
            throw configuration.error(
                "\(field).client_cert_file", "\(certFile), \(keyFile): \(error)",
                remedy: "name a PEM file with the client's chain, and one with the key of its first certificate")
        }
    }

    /// The lines that the upstream gets, each with its CRLF.
    mutating func lines(_ headers: [RouteOptions.HeaderFile], of key: String) throws(ConfigurationError) -> [UInt8] {
        var lines: [UInt8] = []
        for header in headers {
            let field = "route_options.\(key).set_headers.\(header.name).file"
            var content = try read(header.file, field, isTLS: false)
            defer { content.wipe() }
            // What editors and echo leave at the end is no part of a value.
            var end = content.count
            while end > 0, [0x0A, 0x0D, 0x20, 0x09].contains(content[end - 1]) { end -= 1 }
            guard (1...RouteFiles.maxValue).contains(end), content[0] > 0x20 else {
                throw configuration.error(
                    field, "\(header.file): \(end == 0 ? "empty" : "too long, or white space in front")",
                    remedy: "write the value alone into it, at most \(RouteFiles.maxValue) bytes")
            }
            guard content[..<end].allSatisfy({ ($0 >= 0x20 && $0 != 0x7F) || $0 == 0x09 }) else {
                throw configuration.error(
                    field, "\(header.file): a line break or control character in the value",
                    remedy: "write one line into it")
            }
            lines += Array("\(header.name): \(header.prefix)".utf8) + content[..<end] + [0x0D, 0x0A]
        }
        return lines
    }
}
