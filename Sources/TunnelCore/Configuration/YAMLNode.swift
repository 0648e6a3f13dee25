/// A place in a document. Lines and columns count from 1; a column counts Unicode scalars, as editors do.
public struct YAMLMark: Hashable, Sendable {
    public let line: Int
    public let column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// One node of a YAML document, with the place it was written at.
///
/// The tree is as the document says it: scalars keep their text and style, and only ``coreType`` and the typed
/// readers beside it apply the core schema (YAML 1.2.2 §10.3), so that a decoder can tell `true` from `"true"`.
package struct YAMLNode: Hashable, Sendable {
    /// How a scalar was written. Only a plain one can be anything else than a string.
    package enum ScalarStyle: Hashable, Sendable {
        case plain, singleQuoted, doubleQuoted, literal, folded
    }

    /// One `key: value` of a mapping, in the document's order.
    package struct Entry: Hashable, Sendable {
        /// Always a scalar: the reader refuses complex keys.
        package let key: YAMLNode
        package let value: YAMLNode

        package init(key: YAMLNode, value: YAMLNode) {
            self.key = key
            self.value = value
        }
    }

    package enum Content: Hashable, Sendable {
        case scalar(String, ScalarStyle)
        case sequence([YAMLNode])
        case mapping([Entry])
    }

    package let content: Content
    /// Where the node's first character stands. For a value left out, the place where it would have stood.
    package let mark: YAMLMark

    package init(_ content: Content, at mark: YAMLMark) {
        self.content = content
        self.mark = mark
    }

    /// The text of a scalar, whatever its style; `nil` for a collection.
    package var text: String? {
        guard case .scalar(let text, _) = content else { return nil }
        return text
    }
}

extension YAMLNode {
    /// What one document may hold. A configuration is far below each of these; they bound what a hostile one costs.
    package enum Limit {
        /// Bytes of a document.
        package static let documentBytes = 1 << 20
        /// Collections inside one another.
        package static let depth = 64
        /// Scalars and collections together.
        package static let nodes = 100_000
        /// Bytes from the start of a key to its colon (YAML 1.2.2 §7.4.2 says 1024 characters).
        package static let keyBytes = 1024
    }

    /// Reads one YAML 1.2 document. An empty one is a plain empty scalar, which is null.
    ///
    /// Covers block and flow collections, plain, quoted and block scalars, and comments. What it does not cover
    /// (anchors, aliases, tags, directives, merge keys, complex keys, single-pair flow entries, several documents,
    /// tabs as indentation) it refuses, and never reads otherwise than the specification says. JSON is YAML.
    ///
    /// - Parameter bytes: the document, in UTF-8.
    /// - Parameter allowDuplicateKeys: keep every entry of a mapping, for a decoder that reports duplicates itself.
    ///   YAML forbids them (§3.2.1.1), so the default is to refuse.
    /// - Throws: the first thing that is wrong, with its place and what to do about it.
    package static func parse(_ bytes: [UInt8], allowDuplicateKeys: Bool = false) throws(YAMLError) -> YAMLNode {
        let source = try YAMLSource(bytes)
        var reader = YAMLReader(source, allowDuplicateKeys: allowDuplicateKeys)
        return try reader.document()
    }

    /// The same for bytes that are borrowed from elsewhere.
    package static func parse(_ bytes: Span<UInt8>, allowDuplicateKeys: Bool = false) throws(YAMLError) -> YAMLNode {
        try parse(bytes.withUnsafeBufferPointer { [UInt8]($0) }, allowDuplicateKeys: allowDuplicateKeys)
    }
}

/// Why a document was refused, where, and what the author can do about it.
package struct YAMLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// More codes may come.
    package struct Code: RawRepresentable, Hashable, Sendable {
        package let rawValue: String
        package init(rawValue: String) { self.rawValue = rawValue }

        /// Not UTF-8, or a character that YAML does not allow unescaped.
        package static let encoding = Code(rawValue: "encoding")
        /// Larger, deeper or with more nodes than `YAMLNode.Limit` says.
        package static let limit = Code(rawValue: "limit")
        /// Valid YAML that this reader leaves out: anchors, aliases, tags, several documents and the like.
        package static let unsupported = Code(rawValue: "unsupported")
        /// Indented so that it belongs nowhere, or with a tab.
        package static let indentation = Code(rawValue: "indentation")
        /// Two equal keys in one mapping.
        package static let duplicateKey = Code(rawValue: "duplicateKey")
        /// Anything else that is not YAML.
        package static let syntax = Code(rawValue: "syntax")
    }

    package let code: Code
    package let problem: String
    package let remedy: String
    package let mark: YAMLMark

    init(_ code: Code, _ problem: String, remedy: String, at mark: YAMLMark) {
        self.code = code
        self.problem = problem
        self.remedy = remedy
        self.mark = mark
    }

    package var description: String { "\(mark.line):\(mark.column): \(problem) (\(remedy))" }
}
