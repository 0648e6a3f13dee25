internal import FoundationEssentials
internal import Synchronization
import TunnelCore

/// Writes the input into a line of the log, in both formats: as a message, and cut in three as the values of fields.
///
/// One event is one line, all of it printable. In text, a reader of the fields finds exactly those that were written;
/// JSON is read back with the values that went in.
func checkLogLines(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    let third = bytes.count / 3
    let first = Array(bytes[..<third]), second = Array(bytes[third..<2 * third]), last = Array(bytes[(2 * third)...])
    for format in LogFormat.allCases {
        let sink = Lines()
        let log = Log(threshold: .debug, format: format, sink: sink) { UnixTime(seconds: 1_800_000_000) }
        log(.info, text)
        log(.warn, "fixed words") {
            $0.field("first", first.span)
            $0.field("number", bytes.count)
            $0.field("second", second.span)
            $0.field("third", String(decoding: last, as: UTF8.self))
        }
        let lines = sink.taken
        precondition(lines.count == 2, "not one line for one event")
        for line in lines { precondition(isPrintable(line), "a line that is not all printable") }
        if format == .json {
            precondition(read(lines[0])?.msg == Excerpt(text, LogLine.maxMessageBytes), "another message")
            checkJSON(lines[1], [first, second, last], bytes.count)
        } else {
            checkText(lines[1], bytes.count)
        }
    }
}

private final class Lines: LogSink {
    private let bytes = Mutex<[[UInt8]]>([])

    var taken: [[UInt8]] { bytes.withLock { $0 } }

    func write(_ line: Span<UInt8>) {
        let copy = line.withUnsafeBytes { [UInt8]($0) }
        precondition(copy.last == 0x0A && copy.dropLast().firstIndex(of: 0x0A) == nil, "not one line")
        bytes.withLock { $0.append(copy.dropLast()) }
    }
}

private func isPrintable(_ line: [UInt8]) -> Bool {
    guard let text = String(validating: line, as: UTF8.self) else { return false }
    return text.unicodeScalars.allSatisfy { scalar in
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        default: scalar == " " || scalar.properties.generalCategory != .spaceSeparator
        }
    }
}

// MARK: JSON

private struct Record: Decodable {
    let time: String, level: String, msg: Excerpt
    let first: Excerpt?, second: Excerpt?, third: Excerpt?
    let number: Int?
}

/// A text as the log has it: with `…` for what is beyond the limit. Compared by its bytes.
private struct Excerpt: Decodable, Equatable {
    let bytes: [UInt8]

    init(from decoder: any Decoder) throws {
        bytes = Array(try decoder.singleValueContainer().decode(String.self).utf8)
    }

    init(_ text: String, _ limit: Int) {
        var bytes = Array(text.utf8)
        if bytes.count > limit {
            // Not in the middle of a character.
            var end = limit
            while bytes[end] & 0xC0 == 0x80 { end -= 1 }
            bytes = bytes[..<end] + Array("\u{2026}".utf8)
        }
        self.bytes = bytes
    }
}

private func read(_ line: [UInt8]) -> Record? { try? JSONDecoder().decode(Record.self, from: Data(line)) }

private func checkJSON(_ line: [UInt8], _ values: [[UInt8]], _ number: Int) {
    guard let record = read(line) else { preconditionFailure("not JSON") }
    precondition(record.msg == Excerpt("fixed words", 100) && record.level == "WARN" && record.number == number)
    for (found, value) in zip([record.first, record.second, record.third], values) {
        guard let found else { preconditionFailure("a field is missing") }
        // What is not UTF-8 is shown with replacements, whose number is the log's own affair.
        guard let text = String(validating: value, as: UTF8.self) else { continue }
        precondition(found == Excerpt(text, LogLine.maxValueBytes), "another value")
    }
}

// MARK: Text

/// Reads `time LEVEL message` and then field after field to the line's end, as a program that looks for them does.
private func checkText(_ line: [UInt8], _ number: Int) {
    let start = Array("2027-01-15T08:00:00.000Z WARN fixed words".utf8)
    precondition(line.starts(with: start), "another beginning")
    var rest = line.dropFirst(start.count)
    for key in ["first", "number", "second", "third"] {
        let name = Array(" \(key)=".utf8)
        precondition(rest.starts(with: name), "another field")
        rest = rest.dropFirst(name.count)
        if rest.first == UInt8(ascii: "\"") {
            rest = rest.dropFirst()
            while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
                if byte == UInt8(ascii: "\\") { precondition(rest.popFirst() != nil, "an escape of nothing") }
                precondition(!rest.isEmpty, "a quote that does not end")
            }
        } else {
            let value = rest.prefix { $0 != UInt8(ascii: " ") }
            precondition(!value.isEmpty && !value.contains(UInt8(ascii: "\"")) && !value.contains(UInt8(ascii: "=")))
            precondition(key != "number" || Array(value) == Array("\(number)".utf8), "another number")
            rest = rest.dropFirst(value.count)
        }
    }
    precondition(rest.isEmpty, "more than was written")
}
