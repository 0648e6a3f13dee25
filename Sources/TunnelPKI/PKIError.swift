internal import COpenSSL

/// Why a key or a certificate could not be read, made or used. `code` is for programs, `reason` for people; it never
/// holds key material.
public struct PKIError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What went wrong, in one word. More codes may come in later versions.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }

        /// The bytes are not what they should be: broken PEM, broken DER, trailing bytes.
        public static let malformed = Code(rawValue: "malformed")
        /// The input is larger than any real key or certificate.
        public static let tooLarge = Code(rawValue: "too-large")
        /// The file holds no block of the kind that was asked for.
        public static let missing = Code(rawValue: "missing")
        /// The file holds more than one of what must be single.
        public static let several = Code(rawValue: "several")
        /// The private key is protected with a passphrase.
        public static let encryptedKey = Code(rawValue: "encrypted-key")
        /// The key is neither RSA nor ECDSA.
        public static let unsupportedKey = Code(rawValue: "unsupported-key")
        /// Key and certificate do not belong together.
        public static let keyMismatch = Code(rawValue: "key-mismatch")
        /// The certificate cannot act as the CA that the call needs.
        public static let unsuitableCA = Code(rawValue: "unsuitable-ca")
        /// A parameter of the call is out of range, such as a domain that is no DNS name.
        public static let invalidArgument = Code(rawValue: "invalid-argument")
        /// OpenSSL refused an operation for a reason of its own.
        public static let library = Code(rawValue: "library")
    }

    public let code: Code
    public let reason: String
    public var description: String { reason }

    init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    /// Equal when the codes are: tests and callers compare codes, not prose.
    public static func == (a: PKIError, b: PKIError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}

extension PKIError {
    /// Drains this thread's OpenSSL error queue for the reasons.
    static func fromQueue(_ operation: String, code: Code = .library) -> PKIError {
        let reasons = drainOpenSSLErrors().map(\.text)
        return PKIError(code, reasons.isEmpty ? operation : "\(operation) (\(reasons.joined(separator: "; ")))")
    }
}

/// One entry of OpenSSL's error queue.
package struct OpenSSLReason: Sendable {
    /// The part of the library, such as `ERR_LIB_SSL`.
    package let library: Int32
    package let number: Int32
    package let text: String
    /// What the library adds in this case, such as the name of a file.
    package let data: String?
}

/// Takes all entries off this thread's error queue, the oldest first: one left behind is blamed on the next, innocent
/// call.
package func drainOpenSSLErrors() -> [OpenSSLReason] {
    var reasons: [OpenSSLReason] = []
    var data: UnsafePointer<CChar>?
    var flags: Int32 = 0
    while case let code = ERR_get_error_all(nil, nil, nil, &data, &flags), code != 0 {
        let hasText = flags & ERR_TXT_STRING != 0 && data?.pointee != 0
        reasons.append(
            OpenSSLReason(
                library: ERR_GET_LIB(code), number: ERR_GET_REASON(code),
                text: ERR_reason_error_string(code).map { String(cString: $0) } ?? "code \(code)",
                data: hasText ? data.map { String(cString: $0) } : nil))
    }
    return reasons
}
