/// One thing that is wrong with a configuration, with its place and what to do about it.
///
/// It has one printed form, `config.yaml:12:5: upstream.allowed_ips[2]: problem (remedy)`, from which the parts that
/// are not known are left out: a configuration made in code has no file and no line.
public struct Diagnostic: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file as the user named it.
    public let file: String?
    public let mark: YAMLMark?
    /// The path of the field, such as `upstream.allowed_ips[2]`; empty for the file as a whole.
    public let field: String
    public let problem: String
    public let remedy: String

    public init(file: String? = nil, mark: YAMLMark? = nil, field: String = "", problem: String, remedy: String) {
        self.file = file
        self.mark = mark
        self.field = field
        self.problem = problem
        self.remedy = remedy
    }

    public var description: String {
        var text = ""
        if let file {
            text += file
            if let mark { text += ":\(mark.line):\(mark.column)" }
            text += ": "
        }
        if !field.isEmpty { text += "\(field): " }
        return text + problem + (remedy.isEmpty ? "" : " (\(remedy))")
    }

    /// `text` on one line, in a bounded length, fit for a message: what a file holds must not forge log lines.
    package static func excerpt(_ text: String, limit: Int = 64) -> String {
        var shown = ""
        for scalar in text.unicodeScalars.prefix(limit) {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
                shown += "\\u{\(String(scalar.value, radix: 16))}"
            default: shown.unicodeScalars.append(scalar)
            }
        }
        return text.unicodeScalars.count > limit ? shown + "..." : shown
    }

    /// The first `${NAME}` in a text, as a shell would expand it.
    package static func variable(in text: String) -> String? {
        guard let start = text.firstRange(of: "${"), let end = text[start.upperBound...].firstIndex(of: "}") else {
            return nil
        }
        return excerpt(String(text[start.lowerBound...end]))
    }

    package static let variableRemedy = "write the value itself, or have a shell or envsubst make the file"
}

/// The known name that `name` is most likely a misspelling of, or `nil` if none is near.
///
/// Near is a distance of at most a third of the name's length: one edit is an insertion, a deletion, a replacement or
/// a swap of neighbours. Case and the difference between `-` and `_` do not count. Of several, the first nearest.
/// Costs O(name × known names); a name over 64 bytes is near nothing.
package func nearestName(to name: String, among known: [String]) -> String? {
    let wanted = folded(name)
    guard !wanted.isEmpty, wanted.count <= 64 else { return nil }
    var best: (name: String, distance: Int)?
    for candidate in known where candidate.utf8.count <= 64 {
        let distance = editDistance(wanted, folded(candidate))
        guard distance <= max(1, min(wanted.count, candidate.utf8.count) / 3) else { continue }
        if best.map({ distance < $0.distance }) ?? true { best = (candidate, distance) }
    }
    return best?.name
}

private func folded(_ name: String) -> [UInt8] {
    name.utf8.map { byte in
        switch byte {
        case 0x41...0x5A: byte | 0x20
        case 0x2D: 0x5F
        default: byte
        }
    }
}

/// The optimal string alignment distance, with three rows of the table kept.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in 0..<a.count {
        var row = [i + 1]
        for j in 0..<b.count {
            var distance = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { distance = min(distance, beforeLast[j - 1] + 1) }
            row.append(distance)
        }
        (beforeLast, last) = (last, row)
    }
    return last[b.count]
}
