/// Why a document was refused, where, and what the author can do about it.
public struct YAMLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// More codes may come.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// Not UTF-8, or a character that YAML does not allow unescaped.
        public static let encoding = Code(rawValue: "encoding")
        /// Larger, deeper or with more nodes than `YAMLNode.Limit` says.
        public static let limit = Code(rawValue: "limit")
        /// Valid YAML that this reader leaves out: anchors, aliases, tags, several documents and the like.
        public static let unsupported = Code(rawValue: "unsupported")
        /// Indented so that it belongs nowhere, or with a tab.
        public static let indentation = Code(rawValue: "indentation")
        /// Two equal keys in one mapping.
        public static let duplicateKey = Code(rawValue: "duplicateKey")
        /// Anything else that is not YAML.
        public static let syntax = Code(rawValue: "syntax")
    }

    public let code: Code
    public let problem: String
    public let remedy: String
    public let mark: YAMLMark

    init(_ code: Code, _ problem: String, remedy: String, at mark: YAMLMark) {
        self.code = code
        self.problem = problem
        self.remedy = remedy
        self.mark = mark
    }

    public var description: String { "\(mark.line):\(mark.column): \(problem) (\(remedy))" }
}
