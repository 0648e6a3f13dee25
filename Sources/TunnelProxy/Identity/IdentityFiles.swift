internal import TunnelCore
internal import TunnelIO
internal import TunnelPKI
internal import TunnelTLS

/// The certificate and the key on disk, read as a pair.
struct IdentityFiles: Sendable {
    private let certificateFile: (field: String, path: String)
    private let keyFile: (field: String, path: String)

    /// - Parameter tunnel: whose they are.
    init(of tunnel: ProxyConfiguration) {
        certificateFile = (tunnel.field("tls.cert_file"), tunnel.tls.certFile)
        keyFile = (tunnel.field("tls.key_file"), tunnel.tls.keyFile)
    }

    /// What both files hold. Whoever reads it wipes it: it has the key.
    struct Contents: Sendable {
        let certificate: [UInt8]
        private(set) var key: [UInt8]

        init(certificate: [UInt8], key: [UInt8]) { (self.certificate, self.key) = (certificate, key) }

        mutating func wipe() { key.wipe() }
    }

    /// What both files held, by their SHA-256: enough to see a change, and no key.
    struct Digest: Equatable, Sendable {
        private let certificate: [UInt8]
        private let key: [UInt8]

        init(of contents: Contents) throws(PKIError) {
            certificate = try contents.certificate.sha256()
            key = try contents.key.sha256()
        }
    }

    /// - Throws: ``FileFailure`` with the field whose file it is.
    func read() throws(FileFailure) -> Contents {
        let certificate = try read(certificateFile)
        return Contents(certificate: certificate, key: try read(keyFile))
    }

    private func read(_ file: (field: String, path: String)) throws(FileFailure) -> [UInt8] {
        do throws(FileError) { return try FileBytes.read(file.path) } catch {
            throw FileFailure(field: file.field, error: error)
        }
    }

    struct FileFailure: Error, CustomStringConvertible {
        let field: String
        let error: FileError
        var description: String { error.description }
    }

    /// - Throws: an error whose text names the files at fault.
    func identity(of contents: Contents) throws(ProxyError) -> TLSIdentity {
        do throws(TLSIdentityError) {
            return try TLSIdentity(certificates: contents.certificate, privateKey: contents.key)
        } catch {
            throw ProxyError("\(places): \(error) (\(Self.remedy(error.code)))")
        }
    }

    /// Both, as an operator finds them.
    var places: String { "\(place(of: .server)), \(place(of: .key))" }

    func place(of document: Finding.Document) -> String {
        let file = document == .key ? keyFile : certificateFile
        return "\(file.field) \(file.path)"
    }

    private static func remedy(_ code: TLSIdentityError.Code) -> String {
        switch code {
        case .mismatch: "put the right one in its place, or let setup renew-cert make a new pair"
        case .noPrivateKey, .malformedPrivateKey: "name the file with the key, or let setup renew-cert make a new pair"
        case .encryptedPrivateKey: "or let setup renew-cert make a new pair"
        default: "name the file with the certificate, or let setup renew-cert make a new pair"
        }
    }
}

/// What the files held from which a tunnel began.
struct FilesAtStart: Sendable {
    let identity: IdentityFiles.Digest
    /// `nil` where the keys of session tickets are the proxy's own.
    let ticketKeys: [UInt8]?
}

extension ProxyConfiguration {
    /// Reads the identity that a tunnel is to begin with.
    ///
    /// - Throws: ``ConfigurationError`` for a file that cannot be read, ``ProxyError`` for a pair that cannot be used.
    func readIdentity() throws -> (identity: TLSIdentity, digest: IdentityFiles.Digest) {
        let files = IdentityFiles(of: self)
        var contents: IdentityFiles.Contents
        do throws(IdentityFiles.FileFailure) { contents = try files.read() } catch {
            throw self.error(
                error.field, error.description,
                remedy: "setup makes the file; the proxy's user, 65532 in the image, must be able to read it")
        }
        defer { contents.wipe() }
        return (try files.identity(of: contents), try IdentityFiles.Digest(of: contents))
    }
}

extension ProxySnapshot.Tunnel {
    /// Reads what the tunnel is to begin with: its certificate, and the keys of its session tickets.
    ///
    /// - Throws: as `readIdentity()`; and ``ConfigurationError`` for a file of ticket keys that cannot be used.
    func readCredentials() throws -> (credentials: ServerCredentials, files: FilesAtStart) {
        let tls = configuration.tls
        let (identity, digest) = try configuration.readIdentity()
        let options = TLSServerOptions(
            minVersion: tls.minVersion == .tls13 ? .tls13 : .tls12, alpn: tls.alpn.map(\.rawValue),
            sessionTickets: tls.sessionTickets)
        let credentials = try ServerCredentials(
            identity: identity, options: options, scope: TLSServerScope(name: name, number: number))
        return (
            credentials,
            FilesAtStart(identity: digest, ticketKeys: try credentials.shareTicketKeys(configuration))
        )
    }
}
