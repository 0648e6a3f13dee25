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
