// Prints what our YAML reader makes of documents, for yaml_differential.py. Reads from standard input, any number of
// times, a decimal length, a line feed and so many bytes of document; answers each with one line of JSON.
internal import Glibc
internal import TunnelCore

func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case _ where scalar.value < 0x20 || scalar.value == 0x7F:
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}

func dump(_ node: YAMLNode) -> String {
    switch node.content {
    case .scalar(let text, let style):
        // Numbers beside their text, so that their values can be compared too.
        let value =
            switch node.coreType {
            case .int: node.int.map(String.init) ?? "null"
            case .float: quoted(node.double.map { "\($0)" } ?? "none")
            case .bool: node.bool.map { "\($0)" } ?? "null"
            default: "null"
            }
        return "[\(quoted(node.coreType.rawValue)),\(quoted(text)),\(quoted("\(style)")),\(value)]"
    case .sequence(let items):
        return "[\"!!seq\",[\(items.map(dump).joined(separator: ","))]]"
    case .mapping(let entries):
        return "[\"!!map\",[\(entries.map { "[\(dump($0.key)),\(dump($0.value))]" }.joined(separator: ","))]]"
    }
}

func answer(_ document: [UInt8]) -> String {
    do throws(YAMLError) {
        return "{\"tree\":\(dump(try YAMLNode.parse(document)))}"
    } catch {
        return "{\"error\":\(quoted(error.description))}"
    }
}

/// Exactly `count` bytes of standard input, or fewer at its end.
func readInput(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
        let size = bytes.withUnsafeMutableBytes { read(0, $0.baseAddress.map { $0 + filled }, count - filled) }
        guard size > 0 else { break }
        filled += size
    }
    return Array(bytes[..<filled])
}

while true {
    var length = 0
    var byte = readInput(1).first
    guard byte != nil else { break }
    while let digit = byte, (0x30...0x39).contains(digit), length < 1 << 24 {
        length = length * 10 + Int(digit - 0x30)
        byte = readInput(1).first
    }
    guard byte == 0x0A else { break }
    puts(answer(readInput(length)))
    fflush(nil)
}
