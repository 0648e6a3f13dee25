/// One point in which a file falls short of what a tunnel needs: the rule, what was found, and what to do.
public struct Finding: Hashable, Sendable, CustomStringConvertible {
    /// How bad it is. An `error` breaks a published requirement or makes the other side refuse; a `warning` works, or
    /// works today.
    public enum Severity: String, Sendable, Comparable, CaseIterable {
        case warning, error
        public static func < (a: Self, b: Self) -> Bool { a == .warning && b == .error }
    }

    /// The file that the finding is about.
    public enum Document: String, Sendable, CaseIterable {
        case authority = "CA certificate"
        case server = "server certificate"
        case key = "private key"
    }

    public let rule: Rule
    public let severity: Severity
    public let document: Document
    /// What the file holds, in words; never key material.
    public let found: String
    /// What to do about it.
    public let remedy: String

    public var description: String {
        "\(severity): \(document.rawValue): \(found). Required: \(rule.requirement). Remedy: \(remedy). [\(rule.id)]"
    }
}

extension Finding {
    /// A requirement with its stable name. Equal when the names are.
    public struct Rule: Hashable, Sendable, CustomStringConvertible {
        /// For programs and searches, for example `ca-basic-constraints`.
        public let id: String
        /// The requirement in half a sentence.
        public let requirement: String
        public var description: String { id }
        public static func == (a: Rule, b: Rule) -> Bool { a.id == b.id }
        public func hash(into hasher: inout Hasher) { hasher.combine(id) }
    }
}

extension Sequence<Finding> {
    /// Whether at least one finding is an error.
    public var hasErrors: Bool { contains { $0.severity == .error } }
}
