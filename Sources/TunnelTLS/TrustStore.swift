internal import COpenSSL
internal import Glibc
internal import TunnelPKI

/// The certificates that a client accepts as ends of a chain.
///
/// Every certificate in it is trusted by itself: an intermediate or a server's own certificate may be an anchor
/// without its issuer. All files are read when the value is made, none during a handshake.
public final class TrustStore: Sendable {
    /// Number of anchors read, duplicates included.
    public let count: Int

    // SAFETY: X509_STORE locks inside, and nothing here changes it after init.
    nonisolated(unsafe) let pointer: OpaquePointer

    /// Reads anchors from `pem`, the system's store, or both.
    ///
    /// The system's store is what SSL_CERT_FILE and SSL_CERT_DIR (colon-separated) name. With neither set it is the
    /// first bundle found: OpenSSL's own default, then the places where distributions and bare images keep theirs.
    ///
    /// - Parameter pem: a bundle in PEM, or one certificate in DER.
    /// - Throws: when a bundle is malformed, a file named by SSL_CERT_FILE cannot be read, or nothing was found.
    public init(pem: [UInt8]? = nil, includingSystem: Bool = false) throws(TLSError) {
        guard let pointer = X509_STORE_new() else { throw .fromQueue(Self.operation) }
        do throws(TLSError) {
            var count = 0
            if let pem { count += try Self.add(pem, to: pointer) }
            if includingSystem { count += try Self.addSystem(to: pointer) }
            guard count > 0 else {
                throw TLSError(operation: Self.operation, detail: "no certificate to trust was found")
            }
            X509_STORE_set_flags(pointer, UInt(X509_V_FLAG_PARTIAL_CHAIN))
            self.count = count
            self.pointer = pointer
        } catch {
            X509_STORE_free(pointer)
            throw error
        }
    }

    deinit { X509_STORE_free(pointer) }

    private static let operation = "load trust anchors"

    /// Where bundles lie: Debian and distroless images, Fedora, SUSE, Alpine.
    private static let bundles = [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ]

    /// Files and folders that hold the certificates of a system, and where those links lead to that they are made of.
    package static var systemPlaces: [String] {
        let named =
            [environment(X509_get_default_cert_file_env())].compactMap { $0 }
            + (environment(X509_get_default_cert_dir_env())?.split(separator: ":").map(String.init) ?? [])
        let usual = [X509_get_default_cert_file(), X509_get_default_cert_dir()].compactMap {
            $0.map(String.init(cString:))
        }
        return named + usual + bundles + [
            "/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted", "/usr/share/ca-certificates",
            "/usr/local/share/ca-certificates", "/var/lib/ca-certificates",
        ]
    }

    private static func add(_ bytes: [UInt8], to store: OpaquePointer) throws(TLSError) -> Int {
        var count = 0, isAdded = true
        ERR_clear_error()
        do throws(PKIError) {
            try Certificate.forEach(inBundle: bytes) { certificate in
                isAdded = isAdded && X509_STORE_add_cert(store, certificate) == 1
                count += 1
            }
        } catch {
            throw TLSError(operation: operation, detail: error.reason)
        }
        guard isAdded else { throw .fromQueue(operation) }
        return count
    }

    private static func addSystem(to store: OpaquePointer) throws(TLSError) -> Int {
        let file = environment(X509_get_default_cert_file_env())
        let directories = environment(X509_get_default_cert_dir_env())
        var count = 0
        if let file {
            guard let bytes = read(file) else { throw TLSError(operation: operation, detail: "cannot read \(file)") }
            count += try add(bytes, to: store)
        }
        if let directories {
            for directory in directories.split(separator: ":") { count += addDirectory(String(directory), to: store) }
        }
        if file != nil || directories != nil { return count }
        for path in [String(cString: X509_get_default_cert_file())] + bundles {
            if let bytes = read(path) { return try add(bytes, to: store) }
        }
        return addDirectory(String(cString: X509_get_default_cert_dir()), to: store)
    }

    /// Takes what it can: such a directory also holds files of other kinds, and the same file under several names.
    private static func addDirectory(_ path: String, to store: OpaquePointer) -> Int {
        guard let directory = opendir(path) else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard !name.hasPrefix("."), let bytes = read(path + "/" + name) else { continue }
            count += (try? add(bytes, to: store)) ?? 0
        }
        return count
    }

    private static func environment(_ name: UnsafePointer<CChar>?) -> String? {
        guard let name, let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    /// The bytes of a file, or nil when it cannot be opened or is over `PEMDocument.maxBundleBytes`.
    private static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= PEMDocument.maxBundleBytes {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { return ferror(file) == 0 ? bytes : nil }
            bytes += chunk[..<count]
        }
        return nil
    }
}
