/// Why a document was refused, where, and what the author can do about it.
public struct YAMLError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: Hashable, Sendable {
        /// Not UTF-8, or a character that YAML does not allow unescaped.
        case encoding
        /// Larger, deeper or with more nodes than `YAMLNode.Limit` says.
        case limit
        /// Valid YAML that this reader leaves out: anchors, aliases, tags, several documents and the like.
        case unsupported
        /// Indented so that it belongs nowhere, or with a tab.
        case indentation
        /// Two equal keys in one mapping.
        case duplicateKey
        /// Anything else that is not YAML.
        case syntax
    }

    public let code: Code
    public let problem: String
    public let remedy: String
    public let mark: YAMLMark

    public init(_ code: Code, _ problem: String, remedy: String, at mark: YAMLMark) {
        self.code = code
        self.problem = problem
        self.remedy = remedy
        self.mark = mark
    }

    public var description: String { "\(mark.line):\(mark.column): \(problem) (\(remedy))" }
}
