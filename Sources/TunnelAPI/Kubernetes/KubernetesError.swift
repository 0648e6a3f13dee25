/// Why something could not be done with the Kubernetes API, in words for the person who has to do something about it.
///
/// No text in it holds a token or a value of the Secret.
public struct KubernetesError: Error, Sendable, Equatable, CustomStringConvertible {
    /// More codes may come in later versions.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// This is no pod, or its service account cannot be read.
        public static let configuration = Code(rawValue: "configuration")
        /// The name of a namespace or a Secret is none.
        public static let invalidName = Code(rawValue: "invalid-name")
        /// No answer came: connection, TLS, time-out.
        public static let transport = Code(rawValue: "transport")
        /// HTTP 401.
        public static let unauthenticated = Code(rawValue: "unauthenticated")
        /// HTTP 403: RBAC, a quota or an admission rule.
        public static let forbidden = Code(rawValue: "forbidden")
        /// HTTP 404.
        public static let notFound = Code(rawValue: "not-found")
        /// HTTP 409 for an object that is there already.
        public static let alreadyExists = Code(rawValue: "already-exists")
        /// HTTP 409 for an object that has changed since it was read.
        public static let conflict = Code(rawValue: "conflict")
        /// HTTP 422, and each other 4xx that has no code of its own.
        public static let invalid = Code(rawValue: "invalid")
        /// HTTP 429, again and again.
        public static let rateLimited = Code(rawValue: "rate-limited")
        /// HTTP 5xx, again and again.
        public static let server = Code(rawValue: "server")
        /// There is an answer, but not one of the Kubernetes API, or one that is too long.
        public static let malformedAnswer = Code(rawValue: "malformed-answer")
    }

    public let code: Code
    /// The HTTP status; `nil` if no answer came.
    public let status: Int?
    /// What failed and why, with namespace and name.
    public let reason: String
    /// What to do about it; never empty.
    public let remedy: String
    /// Whether something may have changed on the server although no answer says so. Reading never sets it.
    public internal(set) var mayHaveBeenActedOn: Bool

    init(_ code: Code, status: Int? = nil, _ reason: String, remedy: String, mayHaveBeenActedOn: Bool = false) {
        (self.code, self.status, self.reason) = (code, status, reason)
        (self.remedy, self.mayHaveBeenActedOn) = (remedy, mayHaveBeenActedOn)
    }

    public var description: String { "\(reason) (\(remedy))" }

    /// Equal when the codes are.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }
}
