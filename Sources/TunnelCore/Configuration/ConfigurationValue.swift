/// A type that a configuration field can have.
package protocol ConfigurationValue: Equatable {
    /// The type as the reference page writes it.
    static var typeName: String { get }
    /// The type as it is named where a value of another kind is refused, in the words of Go's YAML package.
    static var kindName: String { get }
    /// The value of `node`, or `nil` when it was refused; what is wrong has been reported then.
    static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> Self?
    /// The value as the reference page writes a default.
    var shown: String { get }
}

extension ConfigurationValue {
    package static var kindName: String { typeName }
}

extension String: ConfigurationValue {
    package static var typeName: String { "string" }

    /// Any scalar is text as it stands, so that `min_version: 1.2` needs no quotes.
    package static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> String? {
        guard let text = node.text else { return decoder.mismatch(node, String.self, field: field) }
        return text
    }

    package var shown: String { isEmpty ? "none" : self }
}

/// A text that may be missing; an empty one counts as missing.
extension Optional: ConfigurationValue where Wrapped == String {
    package static var typeName: String { "string" }

    package static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> String?? {
        guard let text = String.read(node, field: field, &decoder) else { return .none }
        return .some(text.isEmpty ? nil : text)
    }

    package var shown: String { self ?? "none" }
}

extension Bool: ConfigurationValue {
    package static var typeName: String { "bool" }

    package static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> Bool? {
        guard let value = node.bool ?? goBool(node) else {
            return decoder.mismatch(node, Bool.self, field: field, remedy: "write true or false, without quotes")
        }
        return value
    }

    /// The words of YAML 1.1, which are texts in YAML 1.2. Go's YAML package takes them where a boolean is asked for, in
    /// these spellings and in quotes too, so a file may hold them that was made for another reader.
    private static func goBool(_ node: YAMLNode) -> Bool? {
        switch node.text {
        case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON": true
        case "n", "N", "no", "No", "NO", "off", "Off", "OFF": false
        default: nil
        }
    }

    package var shown: String { String(self) }
}

extension Int: ConfigurationValue {
    package static var typeName: String { "int" }

    package static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> Int? {
        guard let value = node.int else {
            return decoder.mismatch(
                node, Int.self, field: field, remedy: "write a whole number, without quotes or unit")
        }
        return value
    }

    package var shown: String { String(self) }
}

extension Duration: ConfigurationValue {
    package static var typeName: String { "duration" }

    package static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> Duration? {
        let example = "write a number with a unit, such as 30s or 1h30m"
        guard let text = node.text else { return decoder.mismatch(node, Duration.self, field: field, remedy: example) }
        do throws(GoDurationError) {
            return try GoDuration(text).duration
        } catch {
            decoder.report(
                "\(error) \"\(Diagnostic.excerpt(text))\"", remedy: example, field: field, at: node.mark)
            return nil
        }
    }

    /// As people write it: `90s` rather than Go's `1m30s`, and a bare `0`.
    package var shown: String {
        let (seconds, attoseconds) = components
        if self == .zero { return "0" }
        if attoseconds == 0, seconds % 60 != 0 { return "\(seconds)s" }
        return GoDuration(clamping: self).description
    }
}

extension Array: ConfigurationValue where Element == String {
    package static var typeName: String { "[]string" }

    package static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> [String]? {
        guard case .sequence(let items) = node.content else {
            return decoder.mismatch(node, [String].self, field: field, remedy: "write a list: [a, b]")
        }
        var values: [String] = []
        for (index, item) in items.enumerated() {
            let path = "\(field)[\(index)]"
            decoder.marks[path] = item.mark
            decoder.texts[path] = item.text
            guard let text = String.read(item, field: path, &decoder) else { return nil }
            values.append(text)
        }
        return values
    }

    package var shown: String { "[" + joined(separator: ", ") + "]" }
}

extension ConfigurationValue where Self: RawRepresentable & CaseIterable, RawValue == String {
    package static var typeName: String { choice(allCases.map(\.rawValue)) }
    package static var kindName: String { "string" }

    package static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> Self? {
        readName(node, field: field, &decoder)
    }

    /// Reads one of the names, for types that know other words besides.
    package static func readName(
        _ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder
    ) -> Self? {
        let names = allCases.map(\.rawValue)
        guard let text = node.text else {
            return decoder.mismatch(node, Self.self, field: field, remedy: "write \(choice(names))")
        }
        guard let value = Self(rawValue: text) else {
            let remedy = nearestName(to: text, among: names).map { "did you mean \($0)?" } ?? "write \(choice(names))"
            decoder.report(
                "unknown value \"\(Diagnostic.excerpt(text))\"", remedy: remedy, field: field, at: node.mark)
            return nil
        }
        return value
    }

    package var shown: String { rawValue }
}

/// `a, b or c`.
private func choice(_ names: [String]) -> String {
    guard let last = names.last, names.count > 1 else { return names.first ?? "" }
    return names.dropLast().joined(separator: ", ") + " or " + last
}
