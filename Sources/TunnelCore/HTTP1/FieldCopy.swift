/// Copies field lines byte for byte, neighbours that stay neighbours in one piece.
struct FieldCopy {
    private var run: Range<Int>

    /// - Parameter start: where the first field line begins.
    init(from start: Int) { run = start..<start }

    /// The line of `field` is to be copied as it is.
    @inline(__always)
    mutating func keep(_ field: Field) { run = run.lowerBound..<field.line.upperBound + 2 }

    /// The line of `field` is left out; what was kept before it is written.
    @inline(__always)
    mutating func drop(_ field: Field, _ bytes: Span<UInt8>, into out: inout ByteBuffer) {
        flush(bytes, into: &out)
        let next = field.line.upperBound + 2
        run = next..<next
    }

    /// The line of `field`, a Content-Length, is to be copied, without leading zeros: a reader that takes them for
    /// octal would see another length.
    mutating func keepLength(_ field: Field, _ bytes: Span<UInt8>, into out: inout ByteBuffer) {
        let value = field.value
        guard value.count > 1, bytes[value.lowerBound] == 0x30 else { return keep(field) }
        drop(field, bytes, into: &out)
        var start = value.lowerBound
        while start < value.upperBound - 1, bytes[start] == 0x30 { start += 1 }
        out.append(bytes.extracting(field.name))
        out.append(": ")
        out.append(bytes.extracting(start..<value.upperBound))
        out.append("\r\n")
    }

    /// Writes what was kept and not yet written.
    mutating func flush(_ bytes: Span<UInt8>, into out: inout ByteBuffer) {
        if !run.isEmpty { out.append(bytes.extracting(run)) }
        run = run.upperBound..<run.upperBound
    }
}

extension ByteBuffer {
    /// Appends the framing field that `framing` needs; `isLengthKept` if the line with the length was copied.
    mutating func appendFramingField(_ framing: BodyFraming, isLengthKept: Bool) {
        switch framing {
        case .chunked: append("Transfer-Encoding: chunked\r\n")
        case .length(let length) where !isLengthKept:
            append("Content-Length: ")
            append(decimal: length)
            append("\r\n")
        case .length, .none, .untilClose: break
        }
    }
}
