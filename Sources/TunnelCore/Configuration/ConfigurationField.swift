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

    let read: (YAMLNode, inout ConfigurationDecoder, inout Root) -> Void
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
        read = { node, decoder, root in
            if let value = Value.read(node, field: name, &decoder) { root[keyPath: path] = value }
        }
        copy = { source, target in
            let isDifferent = source[keyPath: path] != target[keyPath: path]
            target[keyPath: path] = source[keyPath: path]
            return isDifferent
        }
    }
}
