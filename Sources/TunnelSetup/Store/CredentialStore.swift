/// Where a tunnel's credentials are kept: a folder or a Kubernetes Secret, or the caller's own place.
public protocol CredentialStore: Sendable {
    /// The place as `--output` names it, for example `dir:/data`.
    var location: String { get }

    /// Whether nobody else can be writing while this store is open, so that work which an earlier run left behind has no
    /// owner any more.
    var isExclusive: Bool { get }

    /// Everything that is there. A place that does not exist yet is empty.
    func load() async throws(StoreError) -> StoreContents

    /// Makes all of `changes` or none of them: a crash at any point leaves what the next ``load()`` reads either as it
    /// was or as it shall be.
    ///
    /// - Parameter contents: what the caller decided upon.
    /// - Returns: what is there now.
    /// - Throws: ``StoreError`` `.conflict`, with nothing changed, when one of our values is no longer what `contents` says.
    func write(_ changes: StoreChanges, over contents: StoreContents) async throws(StoreError) -> StoreContents
}

/// Why a store could not be read or written.
public struct StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// More codes may come in later versions.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }

        /// Another run holds the store.
        public static let busy = Code(rawValue: "busy")
        /// Somebody else has changed our values since they were read.
        public static let conflict = Code(rawValue: "conflict")
        /// We may not: file permissions, or Kubernetes RBAC.
        public static let denied = Code(rawValue: "denied")
        /// The place does not exist and cannot be made.
        public static let notFound = Code(rawValue: "not-found")
        /// The disk is full, or the file system cannot be written.
        public static let notWritable = Code(rawValue: "not-writable")
        /// A value is not what it should be, or too large.
        public static let malformed = Code(rawValue: "malformed")
        /// The Kubernetes API cannot be reached, or failed; or the disk did.
        public static let unavailable = Code(rawValue: "unavailable")
    }

    public let code: Code
    /// What failed, with file or object; never with a value.
    public let reason: String
    /// What to do about it.
    public let remedy: String

    public init(_ code: Code, _ reason: String, remedy: String) {
        (self.code, self.reason, self.remedy) = (code, reason, remedy)
    }

    public var description: String { remedy.isEmpty ? reason : "\(reason) (\(remedy))" }

    /// Equal when the codes are.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }
}

/// The values that setup keeps. The raw value is the name of the file in a folder, and of the key in a Kubernetes
/// Secret; the documents of the product name them, except for the last five, which are ours.
@nonexhaustive
public enum StoreKey: String, Sendable, CaseIterable, CustomStringConvertible {
    case tunnelID = "tunnel-id"
    case tunnelDomain = "tunnel-domain"
    case tunnelToken = "tunnel-token"
    case tokenVersion = "token-version"
    case caCertificate = "ca.crt"
    case caKey = "ca.key"
    case serverCertificate = "tls.crt"
    case serverKey = "tls.key"
    /// Keys for TLS session tickets, which all proxies of the tunnel share.
    case ticketKeys = "ticket-keys"
    /// The tunnel that this store belonged to before, of which a CA is still kept.
    case oldTunnelID = "old-tunnel-id"
    case oldCACertificate = "old-ca.crt"
    case oldCAKey = "old-ca.key"
    /// Work that was begun and is not finished, in JSON. There only meanwhile.
    case setupState = "setup-state.json"

    /// Whether only the owner may read it (mode 0600).
    public var isSecret: Bool {
        switch self {
        case .tunnelToken, .caKey, .serverKey, .ticketKeys, .oldCAKey, .setupState: true
        case .tunnelID, .tunnelDomain, .tokenVersion, .caCertificate, .serverCertificate, .oldTunnelID,
            .oldCACertificate:
            false
        }
    }

    public var description: String { rawValue }
}

/// All that a store held at one moment. Its textual forms show the names only.
public struct StoreContents: Sendable, CustomStringConvertible, CustomReflectable {
    /// Larger values are refused when they are read or written: a Kubernetes Secret holds 1 MiB in all.
    public static let maxValueBytes = 64 * 1024

    private var values: [StoreKey: [UInt8]]
    /// What ``CredentialStore/write(_:over:)`` compares with; only the store that made it reads it.
    public let revision: String

    /// For a ``CredentialStore`` of one's own.
    public init(_ values: [StoreKey: [UInt8]] = [:], revision: String = "") {
        (self.values, self.revision) = (values, revision)
    }

    public subscript(key: StoreKey) -> [UInt8]? { values[key] }

    /// The value as text without white space around it; `nil` if it is not there, empty or not UTF-8.
    public func text(_ key: StoreKey) -> String? {
        guard let bytes = values[key], let text = String(validating: bytes, as: UTF8.self) else { return nil }
        let isSpace: (Character) -> Bool = { $0.isWhitespace }
        let trimmed = text.drop(while: isSpace).reversed().drop(while: isSpace).reversed()
        return trimmed.isEmpty ? nil : String(trimmed)
    }

    /// An id or a name, to be shown; `nil` for any other value, because a key or a token may lie in the wrong file.
    func name(_ key: StoreKey) -> String? {
        guard let text = text(key), text.utf8.count <= 128 else { return nil }
        let isPlain: (Unicode.Scalar) -> Bool = { scalar in
            scalar.isASCII && (scalar.properties.isAlphabetic || "0123456789-_.".unicodeScalars.contains(scalar))
        }
        return text.unicodeScalars.allSatisfy(isPlain) ? text : nil
    }

    /// What is there, in the order of ``StoreKey``.
    public var keys: [StoreKey] { StoreKey.allCases.filter { values[$0] != nil } }
    public var isEmpty: Bool { values.isEmpty }

    /// The contents after `changes`.
    public func applying(_ changes: StoreChanges, revision: String) -> StoreContents {
        var values = values
        for (key, value) in changes.values { values[key] = value }
        return StoreContents(values, revision: revision)
    }

    /// Whether all values are the same, whatever else the revision counts.
    func isSame(as other: StoreContents) -> Bool { values == other.values }

    /// - Throws: ``StoreError`` `.conflict` that names the keys whose values are not those of `expected`.
    func checkIsSame(as expected: StoreContents) throws(StoreError) {
        let different = StoreKey.allCases.filter { self[$0] != expected[$0] }
        guard !different.isEmpty else { return }
        throw StoreError(
            .conflict,
            "somebody has changed \(different.map(\.rawValue).joined(separator: ", ")) meanwhile; "
                + "nothing was changed",
            remedy: "see that no other run of setup is at work there, then run it again")
    }

    public var description: String { "[\(keys.map(\.rawValue).joined(separator: ", "))]" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Values to be set or removed together. Its textual forms show the names only.
public struct StoreChanges: Sendable, CustomStringConvertible, CustomReflectable {
    /// For a ``CredentialStore`` of one's own; `nil` removes.
    public private(set) var values: [StoreKey: [UInt8]?] = [:]

    public init() {}

    public mutating func set(_ key: StoreKey, _ value: [UInt8]) { values[key] = .some(value) }
    public mutating func set(_ key: StoreKey, _ value: String) { set(key, Array(value.utf8)) }
    /// Sets a text, unless `contents` say the same but for white space around it.
    public mutating func set(_ key: StoreKey, _ value: String, over contents: StoreContents) {
        if contents.text(key) != value { set(key, value) }
    }
    public mutating func remove(_ key: StoreKey) { values[key] = .some(nil) }

    /// Leaves out what `contents` say already.
    mutating func dropUnchanged(from contents: StoreContents) {
        values = values.filter { $0.value != contents[$0.key] }
    }

    /// In the order of ``StoreKey``.
    public var keys: [StoreKey] { StoreKey.allCases.filter { values[$0] != nil } }
    public var isEmpty: Bool { values.isEmpty }
    /// Whether anything is set, not only removed.
    var hasValues: Bool { values.contains { $0.value != nil } }

    /// - Throws: ``StoreError`` `.malformed` if a value is too large to be kept.
    func checkSizes() throws(StoreError) {
        for key in keys {
            guard let value = values[key] ?? nil, value.count > StoreContents.maxValueBytes else { continue }
            throw StoreError(
                .malformed, "\(key) would have \(value.count) bytes; nothing was changed",
                remedy: "at most \(StoreContents.maxValueBytes) are kept")
        }
    }

    public var description: String { "[\(keys.map(\.rawValue).joined(separator: ", "))]" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
