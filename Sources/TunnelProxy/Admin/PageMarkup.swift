internal import TunnelCore

/// A piece of HTML. What is put into a literal of it is escaped, unless it is a piece of HTML itself, so that no text of a
/// peer's, nor of a configuration's, can become markup:
///
///     let cell: Markup = "<td>\(request.host)</td>"
struct Markup: ExpressibleByStringInterpolation, Sendable, Equatable {
    private(set) var text: String

    init(stringLiteral value: StaticString) { text = value.description }
    init(stringInterpolation: Interpolation) { text = stringInterpolation.text }

    /// Text that nobody but us has written, such as a style sheet.
    init(own text: String) { self.text = text }

    static func += (markup: inout Markup, more: Markup) { markup.text += more.text }

    struct Interpolation: StringInterpolationProtocol {
        fileprivate var text = ""

        init(literalCapacity: Int, interpolationCount: Int) {
            text.reserveCapacity(literalCapacity + 16 * interpolationCount)
        }

        mutating func appendLiteral(_ literal: StaticString) { text += literal.description }
        mutating func appendInterpolation(_ value: String) { Markup.escape(value, into: &text) }
        mutating func appendInterpolation(_ number: some BinaryInteger) { text += "\(number)" }
        mutating func appendInterpolation(_ markup: Markup) { text += markup.text }
        mutating func appendInterpolation(_ parts: [Markup]) { for part in parts { text += part.text } }
    }

    /// Writes a text so that it stands for itself in an element and in an attribute in double quotes. What cannot be seen, or
    /// changes the direction of what can, becomes visible.
    private static func escape(_ value: String, into text: inout String) {
        var value = value
        let isPlain = value.withUTF8 { $0.allSatisfy { $0 >= 0x20 && $0 < 0x7F && !isMarked($0) } }
        if isPlain {
            text += value
            return
        }
        var visible = ByteBuffer()
        value.withUTF8 { EscapedText.append($0.span, .message, limit: .max, to: &visible) }
        var escaped: [UInt8] = []
        for byte in visible.array {
            switch byte {
            case UInt8(ascii: "&"): escaped += "&amp;".utf8
            case UInt8(ascii: "<"): escaped += "&lt;".utf8
            case UInt8(ascii: ">"): escaped += "&gt;".utf8
            case UInt8(ascii: "\""): escaped += "&quot;".utf8
            case UInt8(ascii: "'"): escaped += "&#39;".utf8
            default: escaped.append(byte)
            }
        }
        text += String(decoding: escaped, as: UTF8.self)
    }

    private static func isMarked(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "&"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\""), UInt8(ascii: "'"): true
        default: false
        }
    }

    /// Texts below one another; of many, the first few.
    static func lines(_ texts: [String], limit: Int = 6) -> Markup {
        let shown = texts.prefix(limit).map { text -> Markup in "<span class=\"line\">\(text)</span>" }
        let rest: Markup = texts.count > limit ? "<span class=\"line\">and \(texts.count - limit) more</span>" : ""
        return "\(shown)\(rest)"
    }

    /// A text of ours in which what stands between backticks is code.
    static func prose(_ text: String) -> Markup {
        var markup: Markup = ""
        for (index, part) in text.split(separator: "`", omittingEmptySubsequences: false).enumerated() {
            markup += index % 2 == 0 ? "\(String(part))" : "<code>\(String(part))</code>"
        }
        return markup
    }
}
