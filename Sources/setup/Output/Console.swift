import FoundationEssentials
import Glibc
import Synchronization
import TunnelCLI
import TunnelIO

/// Standard output for results, standard error for everything else. What could steer a terminal is escaped: names, messages
/// and stored values may be chosen by others.
struct Console: Sendable {
    private final class Loss: Sendable {
        let cause = Mutex<String?>(nil)
    }
    private let loss = Loss()

    /// Why a result did not get to standard output, for example `no space left on device`; `nil` if all did.
    var lost: String? { loss.cause.withLock { $0 } }

    /// What is going on, on one line or more.
    func note(_ text: String) { write(Self.visible(text) + "\n", to: 2) }

    /// A result in words.
    func show(_ text: String) { write(Self.visible(text) + "\n", to: 1) }

    /// A result, or a failure, for programs.
    func show(json value: some Encodable) { write(JSONText.of(value) + "\n", to: 1) }

    static func visible(_ text: String) -> String {
        text.withoutControls { "\\u{\(String($0.value, radix: 16))}" }
    }

    /// Asks at the terminal for `name` to be typed.
    ///
    /// - Throws: when there is no terminal to ask at.
    func confirm(_ what: String, byTyping name: String) throws(UsageError) -> Bool {
        guard isatty(0) == 1, isatty(2) == 1 else {
            throw UsageError("\(what), and there is no terminal to ask at: confirm it with --yes")
        }
        write("\(Self.visible(what)). Type \(name) to go on: ", to: 2)
        return readLine() == name
    }

    private func write(_ text: String, to descriptor: CInt) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else {
                    let cause = IOError.text(of: errno)
                    if descriptor == 1 { loss.cause.withLock { $0 = cause } }
                    return
                }
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
            }
        }
    }
}

extension String {
    /// With `escape` in the place of each control and format character but the line feed.
    func withoutControls(_ escape: (Unicode.Scalar) -> String) -> String {
        unicodeScalars.reduce(into: "") { text, scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                text += scalar == "\n" ? "\n" : escape(scalar)
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}

/// Results as JSON: names in snake case and in the order of the alphabet, on several lines.
enum JSONText {
    static func of(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        // Nothing that setup encodes can fail: no floating-point number, no key that is not a string.
        guard let data = try? encoder.encode(value) else { return "{}" }
        // What the encoder leaves as it is, and a terminal may act on.
        return String(decoding: data, as: UTF8.self).withoutControls { scalar in
            String(scalar).utf16.map { unit in
                let digits = String(unit, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }.joined()
        }
    }
}

/// Columns for a terminal.
enum TextTable {
    static func of(_ rows: [[String]]) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            let cells = row.enumerated().map { index, cell in
                index == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[index] - cell.count)
            }
            return cells.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
