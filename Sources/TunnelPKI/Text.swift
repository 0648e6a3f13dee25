internal import Glibc

/// A moment as text, for example `2026-08-01 12:00:00 UTC`.
struct UTCTime: CustomStringConvertible {
    let seconds: Int64

    /// - Parameter seconds: since 1970-01-01 00:00 UTC.
    init(_ seconds: Int64) { self.seconds = seconds }

    var description: String {
        var moment = time_t(seconds), parts = tm()
        // Only a year that no C integer holds fails; a caller's clock may say anything.
        guard gmtime_r(&moment, &parts) != nil else { return "\(seconds) s after 1970-01-01 00:00:00 UTC" }
        return String(unsafeUninitializedCapacity: 64) { room in
            room.withMemoryRebound(to: CChar.self) { strftime($0.baseAddress, $0.count, "%F %T UTC", &parts) }
        }
    }
}

/// Text from a certificate, fit for a terminal or a log: bytes that are not UTF-8, control characters and those that
/// steer the direction of writing are replaced.
func printable(_ bytes: UnsafeRawBufferPointer) -> String {
    var text = ""
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: text.unicodeScalars.append("\u{FFFD}")
        default: text.unicodeScalars.append(scalar)
        }
    }
    return text
}

/// Lowercase hexadecimal, two digits a byte.
func hexadecimal(_ bytes: some Sequence<UInt8>, separator: String = "") -> String {
    bytes.map { byte in
        let digits = String(byte, radix: 16)
        return digits.utf8.count == 1 ? "0" + digits : digits
    }.joined(separator: separator)
}
