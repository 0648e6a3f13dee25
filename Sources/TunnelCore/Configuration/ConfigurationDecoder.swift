/// Fills a value from a YAML tree by a table of fields and collects everything that is wrong, so that one look at
/// the messages is enough to mend the file.
package struct ConfigurationDecoder {
    /// Nobody reads more, and a file made to annoy could have as many as keys.
    package static let maxDiagnostics = 100

    /// The file's name, for messages.
    package let file: String?
    package private(set) var diagnostics: [Diagnostic] = []
    /// Where each section, field and list item stands that the document has. The document itself is the empty path.
    package var marks: [String: YAMLMark] = [:]
    /// What stands there, letter for letter, of each field and list item that is a scalar.
    package var texts: [String: String] = [:]
    /// Fields that something was reported about. A check of the whole leaves them out, for it would only add noise.
    private var failed: Set<String> = []

    package init(file: String?) { self.file = file }

    /// Reads `document` into `root`. A field that is missing or null keeps the value it has in `root`.
    ///
    /// - Parameters:
    ///   - waived: fields that need not be there although they are required,
    ///   - alternative: where the document has this one.
    package mutating func decode<Root>(
        _ document: YAMLNode, _ fields: [ConfigurationField<Root>], into root: inout Root,
        waiving waived: Set<String> = [], beside alternative: String = ""
    ) {
        let schema = Schema(fields)
        decodeSection(document, path: "", schema, into: &root)
        let isWaived = !alternative.isEmpty && marks[alternative] != nil
        for field in fields where field.isRequired && marks[field.name] == nil && !hasFailed(field.name) {
            if isWaived, waived.contains(field.name) { continue }
            let sections = sequence(first: parent(of: field.name)) { $0.isEmpty ? nil : parent(of: $0) }
            report(
                "missing, and required", remedy: "set it", field: field.name,
                at: sections.lazy.compactMap { marks[$0] }.first)
        }
    }

    /// Reads a section that lies below a key which the document chooses, such as a route's name, by a table whose names
    /// begin there.
    ///
    /// - Parameter base: the path of the section in the document, for messages and marks.
    package mutating func decode<Root>(
        _ node: YAMLNode, at base: String, _ fields: [ConfigurationField<Root>], into root: inout Root
    ) {
        decodeSection(node, path: "", base: base, Schema(fields), into: &root)
        for field in fields where field.isRequired && marks["\(base).\(field.name)"] == nil {
            guard !hasFailed("\(base).\(field.name)") else { continue }
            report("missing, and required", remedy: "set it", field: "\(base).\(field.name)", at: node.mark)
        }
    }

    package mutating func report(_ problem: String, remedy: String, field: String, at mark: YAMLMark?) {
        failed.insert(field)
        guard diagnostics.count < Self.maxDiagnostics else { return }
        diagnostics.append(Diagnostic(file: file, mark: mark, field: field, problem: problem, remedy: remedy))
    }

    /// Whether something was reported about a field or about a section that it lies in.
    package func hasFailed(_ field: String) -> Bool {
        sequence(first: field) { $0.isEmpty ? nil : parent(of: $0) }.contains(where: failed.contains)
    }

    /// A field's value as it was written, fit for a message; `shown` where nobody wrote it.
    package func written(_ field: String, else shown: String) -> String {
        texts[field].map { Diagnostic.excerpt($0) } ?? shown
    }

    /// Reports a value of another kind than the field has, in the words of Go's YAML package, and returns `nil`.
    package mutating func mismatch<Value: ConfigurationValue>(
        _ node: YAMLNode, _ type: Value.Type, field: String, remedy: String? = nil
    ) -> Value? {
        report(
            "cannot unmarshal \(described(node)) into \(type.kindName)", remedy: remedy ?? "write a \(type.typeName)",
            field: field, at: node.mark)
        return nil
    }

    /// - Parameters:
    ///   - path: of the section in the schema.
    ///   - base: the path in the document at which the schema begins.
    private mutating func decodeSection<Root>(
        _ node: YAMLNode, path: String, base: String = "", _ schema: Schema<Root>, into root: inout Root
    ) {
        func full(_ name: String) -> String { base.isEmpty ? name : name.isEmpty ? base : "\(base).\(name)" }
        marks[full(path)] = node.mark
        if node.isNull { return }
        guard case .mapping(let entries) = node.content else {
            report(
                "cannot unmarshal \(described(node)) into struct", remedy: "write 'key: value' lines",
                field: full(path), at: node.mark)
            return
        }
        var seen: [String: YAMLMark] = [:]
        for entry in entries {
            let key = entry.key.text ?? "", name = path.isEmpty ? key : "\(path).\(key)"
            if let first = seen.updateValue(entry.key.mark, forKey: key) {
                seen[key] = first
                report(
                    "duplicate key", remedy: "keep one of the two, the first is on line \(first.line)",
                    field: Diagnostic.excerpt(full(name)), at: entry.key.mark)
            } else if let field = schema.fields[name], !key.contains(".") {
                if entry.value.isNull { continue }
                let place = full(name)
                marks[place] = entry.value.mark
                texts[place] = entry.value.text
                if !reportVariables(in: entry.value, field: place) { field.read(entry.value, place, &self, &root) }
            } else if schema.keys[name] != nil, !key.contains("."), !key.isEmpty {
                decodeSection(entry.value, path: name, base: base, schema, into: &root)
            } else if diagnostics.count < Self.maxDiagnostics {
                report(
                    "unknown key", remedy: schema.remedy(forUnknown: key, in: path),
                    field: Diagnostic.excerpt(full(name)), at: entry.key.mark)
            }
        }
    }
}

extension ConfigurationDecoder {
    /// Reports each text that holds `${…}`: its author takes the file for a shell's, and the text would go on as it is.
    ///
    /// - Returns: whether there was one.
    private mutating func reportVariables(in node: YAMLNode, field: String) -> Bool {
        switch node.content {
        case .scalar(let text, _):
            guard let variable = Diagnostic.variable(in: text) else { return false }
            report(
                "variables are not expanded: \"\(variable)\"", remedy: Diagnostic.variableRemedy, field: field,
                at: node.mark)
            return true
        case .sequence(let items):
            var isFound = false
            for (index, item) in items.enumerated() where reportVariables(in: item, field: "\(field)[\(index)]") {
                isFound = true
            }
            return isFound
        case .mapping(let entries):
            var isFound = false
            for entry in entries {
                let path = "\(field).\(Diagnostic.excerpt(entry.key.text ?? ""))"
                if reportVariables(in: entry.key, field: path) { isFound = true }
                if reportVariables(in: entry.value, field: path) { isFound = true }
            }
            return isFound
        }
    }
}

/// The table of fields, arranged for the way down through a document.
private struct Schema<Root> {
    var fields: [String: ConfigurationField<Root>] = [:]
    /// The keys that each section knows, in the table's order.
    var keys: [String: [String]] = [:]

    init(_ table: [ConfigurationField<Root>]) {
        for field in table {
            fields[field.name] = field
            var path = field.name
            while !path.isEmpty {
                let section = parent(of: path)
                let key = String(path.dropFirst(section.isEmpty ? 0 : section.count + 1))
                if keys[section]?.contains(key) != true { keys[section, default: []].append(key) }
                path = section
            }
        }
    }

    func remedy(forUnknown key: String, in section: String) -> String {
        let known = keys[section] ?? []
        if section.isEmpty, let dot = key.lastIndex(of: "."), fields[key] != nil {
            return "write it below '\(key[..<dot]):'"
        }
        // The right name in the wrong section first: an exact match beats a similar one.
        let elsewhere = keys.keys.filter { $0 != section && keys[$0]?.contains(key) == true }.sorted()
        if let home = elsewhere.first {
            return home.isEmpty ? "it belongs to the top level" : "did you mean '\(home).\(key)'?"
        }
        if let nearest = nearestName(to: key, among: known) { return "did you mean '\(nearest)'?" }
        return "known keys here: \(known.joined(separator: ", "))"
    }
}

/// The section that a path lies in; empty for the top level.
private func parent(of path: String) -> String {
    path.lastIndex(of: ".").map { String(path[..<$0]) } ?? ""
}

/// A node's type, and for a scalar its text, as Go's YAML package writes them.
private func described(_ node: YAMLNode) -> String {
    guard let text = node.text else { return node.coreType.rawValue }
    return "\(node.coreType.rawValue) `\(Diagnostic.excerpt(text))`"
}

/// One setting of a configuration file: its name, its type, and the place in `Root` that it fills.
///
/// A table of these *is* the schema. The decoder knows no other key, and the reference page is tested against it.
package struct ConfigurationField<Root> {
    /// The path in the file, with dots: `upstream.tls.ca_file`.
    package let name: String
    /// The type as the reference page writes it.
    package let typeName: String
    package let isRequired: Bool
    /// Whether a running proxy keeps the value it was started with.
    package let needsRestart: Bool
    /// The field's value in a configuration as the reference page writes it.
    package let shown: (Root) -> String

    /// Reads the value that stands at a path of the document.
    let read: (YAMLNode, _ place: String, inout ConfigurationDecoder, inout Root) -> Void
    /// Takes over the field's value from another configuration; says whether it was different.
    package let copy: (_ from: Root, _ to: inout Root) -> Bool

    package init<Value: ConfigurationValue>(
        _ name: String, _ path: WritableKeyPath<Root, Value>, isRequired: Bool = false, needsRestart: Bool = false
    ) {
        self.name = name
        self.typeName = Value.typeName
        self.isRequired = isRequired
        self.needsRestart = needsRestart
        shown = { root in isRequired ? "required" : root[keyPath: path].shown }
        read = { node, place, decoder, root in
            if let value = Value.read(node, field: place, &decoder) { root[keyPath: path] = value }
        }
        copy = { source, target in
            let isDifferent = source[keyPath: path] != target[keyPath: path]
            target[keyPath: path] = source[keyPath: path]
            return isDifferent
        }
    }
}
