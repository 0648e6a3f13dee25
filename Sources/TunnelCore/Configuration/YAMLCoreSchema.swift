/// What a plain scalar means under the core schema (YAML 1.2.2 §10.3.2). Quoted and block scalars are strings.
package enum YAMLCoreType: String, Hashable, Sendable {
    case null = "!!null", bool = "!!bool", int = "!!int", float = "!!float", string = "!!str"
    case sequence = "!!seq", mapping = "!!map"
}

extension YAMLNode {
    /// The node's type; for collections their kind. `yes`, `on` and `012` of YAML 1.1 have no special meaning
    /// (`012` is twelve). A field that is a boolean takes the words all the same.
    package var coreType: YAMLCoreType {
        switch content {
        case .sequence: return .sequence
        case .mapping: return .mapping
        case .scalar(let text, .plain): return resolveCoreType(text)
        case .scalar: return .string
        }
    }

    package var isNull: Bool { coreType == .null }

    /// The value of a boolean, or `nil` for any other type.
    package var bool: Bool? {
        guard coreType == .bool, let text else { return nil }
        return text == "true" || text == "True" || text == "TRUE"
    }

    /// The value of an integer, or `nil` for any other type or a number beyond 64 bits.
    package var int: Int? {
        guard coreType == .int, let text else { return nil }
        if text.hasPrefix("0x") { return Int(text.dropFirst(2), radix: 16) }
        if text.hasPrefix("0o") { return Int(text.dropFirst(2), radix: 8) }
        return Int(text)
    }

    /// The value of a float or an integer, or `nil` for any other type.
    package var double: Double? {
        guard let text else { return nil }
        switch coreType {
        case .int: return int.map(Double.init) ?? Double(text)
        case .float:
            switch text.drop(while: { $0 == "+" || $0 == "-" }).lowercased() {
            case ".inf": return text.hasPrefix("-") ? -Double.infinity : Double.infinity
            case ".nan": return Double.nan
            default: return Double(text)
            }
        default: return nil
        }
    }
}

/// The regular expressions of §10.3.2, by hand.
private func resolveCoreType(_ text: String) -> YAMLCoreType {
    switch text {
    case "", "~", "null", "Null", "NULL": return .null
    case "true", "True", "TRUE", "false", "False", "FALSE": return .bool
    case ".nan", ".NaN", ".NAN": return .float
    default: break
    }
    var rest = Array(text.utf8)[...]
    if rest.starts(with: [0x30, 0x6F]) {
        return rest.count > 2 && rest.dropFirst(2).allSatisfy { (0x30...0x37).contains($0) } ? .int : .string
    }
    if rest.starts(with: [0x30, 0x78]) {
        return rest.count > 2 && rest.dropFirst(2).allSatisfy(isHexDigit) ? .int : .string
    }
    if rest.first == 0x2B || rest.first == 0x2D { rest = rest.dropFirst() }
    if [".inf", ".Inf", ".INF"].contains(where: { rest.elementsEqual($0.utf8) }) { return .float }
    let whole = rest.prefix(while: isDigit)
    rest = rest.dropFirst(whole.count)
    if rest.isEmpty { return whole.isEmpty ? .string : .int }
    if rest.first == 0x2E {
        let fraction = rest.dropFirst().prefix(while: isDigit)
        rest = rest.dropFirst(1 + fraction.count)
        guard !whole.isEmpty || !fraction.isEmpty else { return .string }
    } else if whole.isEmpty {
        return .string
    }
    if rest.first == 0x65 || rest.first == 0x45 {
        rest = rest.dropFirst()
        if rest.first == 0x2B || rest.first == 0x2D { rest = rest.dropFirst() }
        guard !rest.isEmpty else { return .string }
        rest = rest.drop(while: isDigit)
    }
    return rest.isEmpty ? .float : .string
}

private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
private func isHexDigit(_ byte: UInt8) -> Bool {
    isDigit(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
}
