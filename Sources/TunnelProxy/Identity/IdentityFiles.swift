internal import TunnelCore
internal import TunnelIO
internal import TunnelPKI
internal import TunnelTLS

/// The certificate and the key on disk, read as a pair.
struct IdentityFiles: Sendable {
    let certificateFile: String
    let keyFile: String

    init(_ tls: ProxyConfiguration.TLS) {
        certificateFile = tls.certFile
        keyFile = tls.keyFile
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
        let certificate = try read(certificateFile, "tls.cert_file")
        return Contents(certificate: certificate, key: try read(keyFile, "tls.key_file"))
    }

    private func read(_ file: String, _ field: String) throws(FileFailure) -> [UInt8] {
        do throws(FileError) { return try FileBytes.read(file) } catch { throw FileFailure(field: field, error: error) }
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
            throw ProxyError("tls.cert_file \(certificateFile), tls.key_file \(keyFile): \(error)")
        }
    }
}

/// What the files held from which a proxy began.
struct FilesAtStart: Sendable {
    let identity: IdentityFiles.Digest
    /// `nil` where the keys of session tickets are the proxy's own.
    let ticketKeys: [UInt8]?
}

extension ProxyConfiguration {
    /// Reads the identity that the proxy is to begin with.
    ///
    /// - Throws: ``ConfigurationError`` for a file that cannot be read, ``ProxyError`` for a pair that cannot be used.
    func readIdentity() throws -> (identity: TLSIdentity, digest: IdentityFiles.Digest) {
        let files = IdentityFiles(tls)
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
