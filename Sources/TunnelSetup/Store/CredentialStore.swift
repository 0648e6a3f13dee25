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
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

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
