internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// The certificate and the key on disk, read as a pair.
struct IdentityFiles: Sendable {
    let certificateFile: String
    let keyFile: String

    init(_ tls: ProxyConfiguration.TLS) {
        certificateFile = tls.certFile
        keyFile = tls.keyFile
    }

    struct Contents: Equatable, Sendable {
        let certificate: [UInt8]
        let key: [UInt8]
    }

    func read() throws(FileError) -> Contents {
        Contents(certificate: try FileBytes.read(certificateFile), key: try FileBytes.read(keyFile))
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
