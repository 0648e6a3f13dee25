import TunnelCore

/// Whatever the reader takes, it takes the same way with CRLF line breaks, and again when the tree is written as JSON.
func checkYAMLReader(_ bytes: [UInt8]) {
    guard let root = try? YAMLNode.parse(bytes, allowDuplicateKeys: true) else { return }
    let json = writeJSON(root)
    if let again = readAgain(Array(json.utf8)) { precondition(writeJSON(again) == json, "not what was written") }
    let crlf = bytes.flatMap { $0 == 0x0A ? [0x0D, 0x0A] : $0 == 0x0D ? [] : [$0] }
    if let again = readAgain(crlf) { precondition(again == root, "line breaks matter") }
}

/// The tree of a document that must be readable, or `nil` if it has only become too long.
private func readAgain(_ bytes: [UInt8]) -> YAMLNode? {
    do throws(YAMLError) {
        return try YAMLNode.parse(bytes, allowDuplicateKeys: true)
    } catch {
        precondition(error.code == .limit, "refused: \(error)")
        return nil
    }
}

/// JSON with every scalar as a string.
private func writeJSON(_ node: YAMLNode) -> String {
    switch node.content {
    case .scalar(let text, _):
        let escaped = text.unicodeScalars.map { scalar in
            let isPlain = (0x20..<0x7F).contains(scalar.value) && scalar != "\"" && scalar != "\\"
            let digits = String(0x1_0000_0000 + UInt64(scalar.value), radix: 16).dropFirst()
            return isPlain ? String(Character(scalar)) : "\\U\(digits)"
        }
        return "\"\(escaped.joined())\""
    case .sequence(let items): return "[\(items.map(writeJSON).joined(separator: ","))]"
    case .mapping(let entries):
        return "{\(entries.map { "\(writeJSON($0.key)):\(writeJSON($0.value))" }.joined(separator: ","))}"
    }
}
