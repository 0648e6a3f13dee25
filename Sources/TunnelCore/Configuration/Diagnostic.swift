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
}
