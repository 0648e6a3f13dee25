internal import COpenSSL

/// The extensions of a certificate that decide whether it can serve a tunnel (RFC 5280 §4.2.1).
public struct CertificateExtensions: Sendable, Hashable {
    /// BasicConstraints, or `nil` if absent.
    public struct BasicConstraints: Sendable, Hashable {
        public let isCritical: Bool
        public let isCA: Bool
        /// Greatest number of intermediates below, or `nil` if not limited.
        public let pathLength: Int?
    }

    /// KeyUsage bits (RFC 5280 §4.2.1.3).
    public struct KeyUsage: OptionSet, Sendable, Hashable {
        public let rawValue: UInt16
        public init(rawValue: UInt16) { self.rawValue = rawValue }
        // The values are those of the two bytes of the BIT STRING, first byte low.
        public static let digitalSignature = KeyUsage(rawValue: 0x80)
        public static let nonRepudiation = KeyUsage(rawValue: 0x40)
        public static let keyEncipherment = KeyUsage(rawValue: 0x20)
        public static let dataEncipherment = KeyUsage(rawValue: 0x10)
        public static let keyAgreement = KeyUsage(rawValue: 0x08)
        public static let keyCertSign = KeyUsage(rawValue: 0x04)
        public static let crlSign = KeyUsage(rawValue: 0x02)
        public static let encipherOnly = KeyUsage(rawValue: 0x01)
        public static let decipherOnly = KeyUsage(rawValue: 0x8000)
        /// By the number of their bits in the extension.
        static let inOrder: [KeyUsage] = [
            .digitalSignature, .nonRepudiation, .keyEncipherment, .dataEncipherment, .keyAgreement, .keyCertSign,
            .crlSign, .encipherOnly, .decipherOnly,
        ]
    }

    /// The purpose of a TLS server in ExtendedKeyUsage.
    static let serverAuthentication = "1.3.6.1.5.5.7.3.1"

    public internal(set) var basicConstraints: BasicConstraints?
    public internal(set) var keyUsage: KeyUsage?
    /// Object identifiers of ExtendedKeyUsage in dotted form, or `nil` if absent. serverAuth is `1.3.6.1.5.5.7.3.1`.
    public internal(set) var extendedKeyUsage: [String]?
    public internal(set) var subjectKeyIdentifier: [UInt8]?
    /// The keyIdentifier of AuthorityKeyIdentifier, or `nil` if the extension or the field is absent.
    public internal(set) var authorityKeyIdentifier: [UInt8]?
    public internal(set) var subjectAlternativeNames: [SubjectAlternativeName] = []
    /// Names of critical extensions that a TLS peer would not understand and so must refuse (RFC 5280 §4.2).
    public internal(set) var unknownCritical: [String] = []
    /// What is wrong with the form of the extensions: those that are there twice or whose contents do not parse. Of a
    /// double the first counts.
    public internal(set) var defects: [String] = []
    /// Names of critical extensions that OpenSSL understands and other TLS peers do not, Go's older ones among them.
    var littleKnownCritical: [String] = []
    /// How many there are, whatever they are.
    var count = 0
}

/// A name that a certificate speaks for (RFC 5280 §4.2.1.6). Text is as found, with control characters escaped.
@nonexhaustive
public enum SubjectAlternativeName: Sendable, Hashable, CustomStringConvertible {
    case dns(String)
    case ip(String)
    /// A kind that TLS servers do not use; the text says which.
    case other(String)

    public var dnsName: String? {
        if case .dns(let name) = self { name } else { nil }
    }

    public var description: String {
        switch self {
        case .dns(let name): "DNS:\(name)"
        case .ip(let address): "IP:\(address)"
        case .other(let kind): kind
        }
    }
}

/// Reads the extensions of an `X509 *` that stays the caller's.
///
/// Each extension is read by itself, because OpenSSL's own cache gives up on all of them when one is broken, and a
/// finding about one should not drag false ones about the others along.
struct ExtensionReader {
    private let pointer: OpaquePointer
    private var result = CertificateExtensions()

    static func read(_ pointer: OpaquePointer) -> CertificateExtensions {
        var reader = ExtensionReader(pointer: pointer)
        reader.readAll()
        return reader.result
    }

    private init(pointer: OpaquePointer) { self.pointer = pointer }

    private mutating func readAll() {
        readList()
        readBasicConstraints()
        readKeyUsage()
        readExtendedKeyUsage()
        readKeyIdentifiers()
        readSubjectAlternativeNames()
        // What OpenSSL finds wrong in extensions that do not matter here, for example CRL distribution points.
        if result.defects.isEmpty, X509_get_extension_flags(pointer) & UInt32(EXFLAG_INVALID) != 0 {
            result.defects.append("the extensions are invalid")
        }
    }

    /// Doubles, and critical ones that TLS peers do not know.
    private mutating func readList() {
        var seen: Set<String> = []
        result.count = max(0, Int(X509_get_ext_count(pointer)))
        for index in 0..<max(0, X509_get_ext_count(pointer)) {
            guard let found = X509_get_ext(pointer, index) else { continue }
            let identifier = Self.identifier(X509_EXTENSION_get_object(found))
            if !seen.insert(identifier).inserted {
                result.defects.append("\(Self.title(X509_EXTENSION_get_object(found)) ?? identifier) is there twice")
            }
            guard X509_EXTENSION_get_critical(found) != 0 else { continue }
            if X509_supported_extension(found) == 0 {
                result.unknownCritical.append(identifier)
            } else if !Self.knownToAll.contains(OBJ_obj2nid(X509_EXTENSION_get_object(found))) {
                let title = Self.title(X509_EXTENSION_get_object(found)) ?? identifier
                result.littleKnownCritical.append("\(title) (\(identifier))")
            }
        }
    }

    /// What Go's verifier takes though it is critical, and every other that was looked at takes as well or refuses for
    /// being critical.
    private static let knownToAll: Set<Int32> = [
        NID_subject_key_identifier, NID_key_usage, NID_subject_alt_name, NID_basic_constraints, NID_name_constraints,
        NID_crl_distribution_points, NID_certificate_policies, NID_authority_key_identifier, NID_ext_key_usage,
    ]

    private mutating func readBasicConstraints() {
        guard let (value, isCritical) = decode(NID_basic_constraints) else { return }
        // SAFETY: for this NID the value is a BASIC_CONSTRAINTS, and ours.
        let constraints = value.assumingMemoryBound(to: BASIC_CONSTRAINTS.self)
        defer { BASIC_CONSTRAINTS_free(constraints) }
        let length = constraints.pointee.pathlen.map { ASN1_INTEGER_get($0) }
        result.basicConstraints = .init(
            isCritical: isCritical, isCA: constraints.pointee.ca != 0, pathLength: length)
    }

    private mutating func readKeyUsage() {
        guard let (value, _) = decode(NID_key_usage) else { return }
        // SAFETY: for this NID the value is an ASN1_BIT_STRING, and ours.
        let bits = value.assumingMemoryBound(to: ASN1_BIT_STRING.self)
        defer { ASN1_BIT_STRING_free(bits) }
        let bytes = Self.bytes(bits)
        let second = bytes.count > 1 ? UInt16(bytes[1]) << 8 : 0
        result.keyUsage = .init(rawValue: UInt16(bytes.first ?? 0) | second)
    }

    private mutating func readExtendedKeyUsage() {
        guard let (value, _) = decode(NID_ext_key_usage) else { return }
        let stack = OpaquePointer(value)
        defer { EXTENDED_KEY_USAGE_free(stack) }
        result.extendedKeyUsage = (0..<max(0, OPENSSL_sk_num(stack))).map {
            Self.identifier(OpaquePointer(OPENSSL_sk_value(stack, $0)))
        }
    }

    private mutating func readKeyIdentifiers() {
        if let (value, _) = decode(NID_subject_key_identifier) {
            // SAFETY: for this NID the value is an ASN1_OCTET_STRING, and ours.
            let identifier = value.assumingMemoryBound(to: ASN1_OCTET_STRING.self)
            defer { ASN1_OCTET_STRING_free(identifier) }
            result.subjectKeyIdentifier = Self.bytes(identifier)
        }
        if let (value, _) = decode(NID_authority_key_identifier) {
            // SAFETY: for this NID the value is an AUTHORITY_KEYID, and ours.
            let identifier = value.assumingMemoryBound(to: AUTHORITY_KEYID.self)
            defer { AUTHORITY_KEYID_free(identifier) }
            result.authorityKeyIdentifier = identifier.pointee.keyid.map { Self.bytes($0) }
        }
    }

    private mutating func readSubjectAlternativeNames() {
        guard let (value, _) = decode(NID_subject_alt_name) else { return }
        let stack = OpaquePointer(value)
        defer { GENERAL_NAMES_free(stack) }
        result.subjectAlternativeNames = (0..<max(0, OPENSSL_sk_num(stack))).compactMap { index in
            // SAFETY: the stack is one of GENERAL_NAME, and keeps its elements until the defer above.
            OPENSSL_sk_value(stack, index).map { Self.name($0.assumingMemoryBound(to: GENERAL_NAME.self)) }
        }
        // Of an address that is neither of IPv4 nor of IPv6. Go and others refuse the whole certificate for it.
        for case .ip(let text) in result.subjectAlternativeNames where text.hasPrefix("(") {
            result.defects.append("an IP address among the subject alternative names has a wrong length \(text)")
        }
    }

    /// +1 on the first extension of this kind, as the C type that belongs to the NID; `nil` if it is absent or, noted
    /// as a defect, does not parse.
    private mutating func decode(_ nid: Int32) -> (value: UnsafeMutableRawPointer, isCritical: Bool)? {
        let index = X509_get_ext_by_NID(pointer, nid, -1)
        guard index >= 0, let found = X509_get_ext(pointer, index) else { return nil }
        guard let value = X509V3_EXT_d2i(found) else {
            result.defects.append("\(Self.title(X509_EXTENSION_get_object(found)) ?? "an extension") does not parse")
            return nil
        }
        return (value, X509_EXTENSION_get_critical(found) != 0)
    }

    /// OpenSSL's name of a known extension, without its `X509v3` in front.
    private static func title(_ object: OpaquePointer?) -> String? {
        let nid = OBJ_obj2nid(object)
        guard nid != NID_undef, let name = OBJ_nid2ln(nid) else { return nil }
        let text = String(cString: name)
        return text.hasPrefix("X509v3 ") ? String(text.dropFirst(7)) : text
    }

    private static func name(_ name: UnsafePointer<GENERAL_NAME>) -> SubjectAlternativeName {
        var kind: Int32 = 0
        guard let value = GENERAL_NAME_get0_value(name, &kind) else { return .other("unreadable name") }
        switch kind {
        case GEN_DNS:
            // SAFETY: a dNSName is an IA5String, an ASN1_STRING; its bytes are copied here.
            let text = value.assumingMemoryBound(to: ASN1_STRING.self)
            return .dns(
                printable(.init(start: ASN1_STRING_get0_data(text), count: Int(ASN1_STRING_length(text)))))
        case GEN_IPADD:
            // SAFETY: an iPAddress is an OCTET STRING, an ASN1_STRING; its bytes are copied here.
            return .ip(address(bytes(value.assumingMemoryBound(to: ASN1_STRING.self))))
        case GEN_EMAIL: return .other("email")
        case GEN_URI: return .other("URI")
        case GEN_DIRNAME: return .other("directory name")
        default: return .other("other name")
        }
    }

    /// Dotted decimal, or four hexadecimal digits a group without shortening.
    private static func address(_ bytes: [UInt8]) -> String {
        if bytes.count == 4 { return bytes.map(String.init).joined(separator: ".") }
        guard bytes.count == 16 else { return "(\(bytes.count) bytes)" }
        return stride(from: 0, to: 16, by: 2).map { String(Int(bytes[$0]) << 8 | Int(bytes[$0 + 1]), radix: 16) }
            .joined(separator: ":")
    }

    /// The dotted form of an `ASN1_OBJECT *`.
    private static func identifier(_ object: OpaquePointer?) -> String {
        // Long enough for any identifier of sense; OpenSSL cuts the rest off.
        String(unsafeUninitializedCapacity: 128) { buffer in
            buffer.withMemoryRebound(to: CChar.self) { text in
                let count = OBJ_obj2txt(text.baseAddress, Int32(text.count), object, 1)
                return max(0, min(Int(count), text.count - 1))
            }
        }
    }

    private static func bytes(_ string: UnsafePointer<ASN1_STRING>) -> [UInt8] {
        Array(UnsafeBufferPointer(start: ASN1_STRING_get0_data(string), count: Int(ASN1_STRING_length(string))))
    }
}
