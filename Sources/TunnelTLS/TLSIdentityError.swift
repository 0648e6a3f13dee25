/// Why a certificate and its key cannot be used. `code` says which half is at fault, `reason` is for people.
public struct TLSIdentityError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: String, Sendable {
        case noCertificate = "no certificate"
        case malformedCertificate = "malformed certificate"
        case noPrivateKey = "no private key"
        case malformedPrivateKey = "malformed private key"
        case encryptedPrivateKey = "encrypted private key"
        case mismatch = "certificate and private key do not belong together"
    }
    public let code: Code
    /// Never holds a byte of the key.
    public let reason: String

    init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public var description: String { "\(code.rawValue): \(reason)" }

    /// Tests and callers compare what is wrong, not prose.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }
}
