internal import Synchronization
internal import TunnelCore
internal import TunnelIO
public import TunnelPKI

/// How a new server certificate shall be.
public struct ServerCertificateOptions: Sendable {
    /// 90 days (`2160h`): how long a certificate is valid unless the caller says otherwise.
    public static let defaultValidity = CertificateAuthority.defaultServerValidity

    /// From now to the end; a certificate never outlives its CA.
    public var validity: Duration
    /// `nil` keeps the kind of the key that is there, and makes RSA 4096 where there is none.
    public var keyType: KeyType?

    public init(validity: Duration = defaultValidity, keyType: KeyType? = nil) {
        (self.validity, self.keyType) = (validity, keyType)
    }

    func keyType(replacing contents: StoreContents) -> KeyType {
        keyType ?? ServerIdentityCheck.keyType(contents) ?? .rsa4096
    }
}

/// Whether the server certificate of a store can stay in use.
enum ServerIdentityCheck {
    /// Everything that is wrong with the pair in `contents`, seen with the CA and the domain that it shall serve; `nil`
    /// if there is no pair at all.
    static func findings(
        _ contents: StoreContents, ca: [UInt8], domain: String, requirements: CertificateRequirements
    ) -> [Finding]? {
        guard let certificate = contents[.serverCertificate], let key = contents[.serverKey] else { return nil }
        return requirements.checkServer(file: certificate, caFile: ca, tunnelDomain: domain)
            + requirements.checkKey(file: key, certificateFile: certificate)
    }

    /// The kind of key that the present pair has, if setup could have made it.
    static func keyType(_ contents: StoreContents) -> KeyType? {
        guard let file = contents[.serverCertificate], let certificate = try? Certificate.all(pem: file).first else {
            return nil
        }
        switch certificate.keyAlgorithm {
        case .rsa(bits: 2048): return .rsa2048
        case .rsa(bits: 3072): return .rsa3072
        case .rsa(bits: 4096): return .rsa4096
        case .ecdsa(curve: "P-256"): return .ecdsaP256
        case .ecdsa(curve: "P-384"): return .ecdsaP384
        default: return nil
        }
    }
}

/// Issues a server certificate and its key from a CA.
struct ServerCertificateIssue {
    let ca: StoredCA
    let domain: String
    let context: SetupContext

    /// - Parameter key: one that is being made already; `nil` makes one.
    /// - Returns: what is to be stored, and what to report when it is.
    func run(
        key pending: PendingKey?, type: KeyType, validity: Duration, reason: String
    ) async throws(SetupError) -> IssuedCertificate {
        let issuer = try ca.signer(now: context.now().seconds)
        let certificate: Certificate, key: PrivateKey
        do throws(PKIError) {
            key = try await (pending ?? PendingKey(type)).value()
            certificate = try issuer.issueServerCertificate(
                domain: domain, key: key, now: context.now().seconds, validity: validity)
        } catch {
            throw SetupError(
                error, "a server certificate",
                remedy: "see whether \(StoreKey.tunnelDomain) and the certificate's duration are right")
        }
        return IssuedCertificate(
            identity: ServerIdentity(certificate: certificate, key: key),
            report: "server certificate issued for \(domain) and *.\(domain), \(key.algorithm), valid until "
                + "\(certificate.end) (\(reason))")
    }
}

/// A new certificate with its key. It counts as issued, and is reported, when it is stored.
struct IssuedCertificate {
    let identity: ServerIdentity
    let report: String
}

extension Certificate {
    /// The end of its validity, in words.
    var end: String { UnixTime(seconds: notAfter).toTheSecond }
}

extension ServerIdentity {
    /// Sets certificate and key, which change as a pair.
    func record(in changes: inout StoreChanges) throws(SetupError) {
        do throws(PKIError) { changes.set(.serverKey, try key.pem) } catch {
            throw SetupError(error, "the new server key", remedy: "run again")
        }
        changes.set(.serverCertificate, certificate.pem)
    }
}

/// A private key that is being made on another thread. RSA takes as long as all the rest of setup together, so it is
/// begun first and waited for last.
final class PendingKey: Sendable {
    private struct State {
        var result: Result<PrivateKey, PKIError>?
        var waiter: UnsafeContinuation<Result<PrivateKey, PKIError>, Never>?
    }
    private let state = Mutex(State())

    /// Begins at once; a key that nobody waits for is dropped.
    init(_ type: KeyType) {
        let isAccepted = BlockingPool.signatures.submit { [self] in
            finish(Result { () throws(PKIError) in try .generate(type) })
        }
        if !isAccepted { finish(Result { () throws(PKIError) in try .generate(type) }) }
    }

    private func finish(_ result: Result<PrivateKey, PKIError>) {
        let waiter = state.withLock { state in
            state.result = result
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: result)
    }

    /// The key, once it is made. One task may wait.
    func value() async throws(PKIError) -> PrivateKey {
        let result = await withUnsafeContinuation { continuation in
            let result = state.withLock { state in
                if state.result == nil { state.waiter = continuation }
                return state.result
            }
            if let result { continuation.resume(returning: result) }
        }
        return try result.get()
    }
}
