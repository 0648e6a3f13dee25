/// A document's bytes, checked and brought into one form, so that the reader behind it needs to know less.
///
/// What holds afterwards: `bytes` is UTF-8 of printable characters (YAML 1.2.2 §5.1), LF is the only line break, and
/// the body between `start` and `end` holds no document marker. A marker stands at the start of a line and nothing, not
/// even a quoted scalar, may hold one there (§9.1.2), which is why this can be settled line by line in advance.
struct YAMLSource {
    private(set) var bytes: [UInt8] = []
    /// Where the body begins: behind `---`, or 0.
    private(set) var start = 0
    /// Where the body ends: at the line of `...`, or at the end.
    private(set) var end = 0
    /// The line that `start` is on, from 1, and where that line begins.
    private(set) var startLine = 1
    private(set) var startOfLine = 0
    /// Whether the body begins on the line of a `---`, where no block collection may begin.
    private(set) var startsOnMarker = false

    init(_ input: [UInt8]) throws(YAMLError) {
        guard input.count <= YAMLNode.Limit.documentBytes else {
            throw YAMLError(
                .limit, "document larger than \(YAMLNode.Limit.documentBytes) bytes", remedy: "split or shorten it",
                at: YAMLMark(line: 1, column: 1))
        }
        try normalise(input)
        end = bytes.count
        try findMarkers()
    }

    /// Copies `input` into `bytes` without byte order mark and carriage returns; refuses what is not printable UTF-8.
    private mutating func normalise(_ input: [UInt8]) throws(YAMLError) {
        bytes.reserveCapacity(input.count)
        var line = 1, column = 1, at = 0
        if input.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
        while at < input.count {
            let mark = YAMLMark(line: line, column: column)
            guard let (scalar, size) = decodeUTF8(input, at) else {
                throw YAMLError(.encoding, "not UTF-8", remedy: "save the file as UTF-8", at: mark)
            }
            switch scalar {
            case 0x0A:
                line += 1
                column = 0
            case 0x0D:
                guard at + 1 < input.count, input[at + 1] == 0x0A else {
                    throw YAMLError(
                        .encoding, "carriage return without line feed", remedy: "end lines with a line feed", at: mark)
                }
                at += 1
                continue
            // These end a line in YAML 1.1 and do not in 1.2: whoever writes one means something else than someone reads.
            case 0x85, 0x2028, 0x2029:
                throw YAMLError(
                    .unsupported, "line separator U+\(hexadecimal(scalar))",
                    remedy: "end lines with a line feed, or write it as an escape in double quotes", at: mark)
            case 0x09, 0x20...0x7E, 0xA0...0xD7FF, 0xE000...0xFEFE, 0xFF00...0xFFFD, 0x1_0000...0x10_FFFF: break
            default:
                throw YAMLError(
                    .encoding, "character U+\(hexadecimal(scalar)) is not allowed",
                    remedy: "remove it, or write it as an escape in double quotes", at: mark)
            }
            bytes.append(contentsOf: input[at..<at + size])
            at += size
            column += 1
        }
    }

    /// Finds `---` and `...`, and sees to it that there is one document only.
    private mutating func findMarkers() throws(YAMLError) {
        var at = 0, line = 0, hasContent = false, hasStart = false, hasEnd = false
        while at < bytes.count {
            line += 1
            let lineEnd = bytes[at...].firstIndex(of: 0x0A) ?? bytes.count
            let mark = YAMLMark(line: line, column: 1)
            if isMarker(0x2D, at, lineEnd) || (hasEnd && !isBlank(at, lineEnd)) {
                guard !hasStart, !hasContent, !hasEnd else {
                    throw YAMLError(
                        .unsupported, "more than one document", remedy: "keep one document in the file", at: mark)
                }
                hasStart = true
                (start, startLine, startOfLine, startsOnMarker) = (at + 3, line, at, true)
                hasContent = !isBlank(at + 3, lineEnd)
            } else if isMarker(0x2E, at, lineEnd) {
                guard hasStart || hasContent, !hasEnd, isBlank(at + 3, lineEnd) else {
                    throw YAMLError(
                        .syntax, "document end marker '...' out of place", remedy: "remove the line", at: mark)
                }
                hasEnd = true
                end = at
            } else if bytes[at] == 0x25 {
                throw YAMLError(
                    .unsupported, "directives are not supported", remedy: "remove the line that starts with '%'",
                    at: mark)
            } else if !isBlank(at, lineEnd) {
                hasContent = true
            }
            at = lineEnd + 1
        }
    }

    /// Three times `character` at the start of a line, then white space or the line's end.
    private func isMarker(_ character: UInt8, _ at: Int, _ lineEnd: Int) -> Bool {
        guard lineEnd - at >= 3, bytes[at] == character, bytes[at + 1] == character, bytes[at + 2] == character else {
            return false
        }
        return lineEnd - at == 3 || bytes[at + 3] == 0x20 || bytes[at + 3] == 0x09
    }

    /// White space and at most a comment.
    private func isBlank(_ at: Int, _ lineEnd: Int) -> Bool {
        guard let first = bytes[at..<lineEnd].firstIndex(where: { $0 != 0x20 && $0 != 0x09 }) else { return true }
        return bytes[first] == 0x23
    }
}

/// The Unicode scalar at `at` and its size in bytes, or `nil` where the bytes are not well-formed UTF-8 (RFC 3629 §4).
private func decodeUTF8(_ bytes: [UInt8], _ at: Int) -> (scalar: UInt32, size: Int)? {
    let first = UInt32(bytes[at])
    let size: Int, smallest: UInt32
    var scalar: UInt32
    switch first {
    case 0..<0x80: return (first, 1)
    case 0xC2..<0xE0: (scalar, size, smallest) = (first & 0x1F, 2, 0x80)
    case 0xE0..<0xF0: (scalar, size, smallest) = (first & 0x0F, 3, 0x800)
    case 0xF0..<0xF5: (scalar, size, smallest) = (first & 0x07, 4, 0x1_0000)
    default: return nil
    }
    guard bytes.count - at >= size else { return nil }
    for index in at + 1..<at + size {
        guard bytes[index] & 0xC0 == 0x80 else { return nil }
        scalar = scalar << 6 | UInt32(bytes[index] & 0x3F)
    }
    guard scalar >= smallest, scalar <= 0x10_FFFF, !(0xD800..<0xE000).contains(scalar) else { return nil }
    return (scalar, size)
}

/// A scalar's number as Unicode writes it: at least four upper-case digits.
func hexadecimal(_ scalar: UInt32) -> String {
    let digits = String(scalar, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
}
