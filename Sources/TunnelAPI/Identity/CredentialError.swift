/// What is wrong with the environment variables that say who we are. It names variables, never their values.
public struct CredentialError: Error, Sendable, Equatable, CustomStringConvertible {
    /// More codes may come in later versions.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// A variable that is needed is not set, or empty.
        public static let missing = Code(rawValue: "missing")
        /// Two variables are set that exclude each other.
        public static let conflict = Code(rawValue: "conflict")
        /// A value is not of the form it should have.
        public static let malformed = Code(rawValue: "malformed")
    }

    public let code: Code
    /// The variables it is about, for example `ANTHROPIC_FEDERATION_RULE_ID`.
    public let variables: [String]
    /// In words, with the names of the variables and what is expected.
    public let reason: String

    init(_ code: Code, _ variables: [String], _ reason: String) {
        (self.code, self.variables, self.reason) = (code, variables, reason)
    }

    public var description: String { reason }

    /// Equal when code and variables are.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code && a.variables == b.variables }
}
