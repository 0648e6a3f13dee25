import TunnelCore

/// Reads the input as the value of a `traceparent`, and as that of MCP's `Mcp-Name`.
///
/// A trace that is taken is what W3C's grammar has, and what is passed on of it is read as the same trace. A name that is
/// decoded is what its base64 stands for.
func checkTraceParent(_ bytes: [UInt8]) {
    checkTrace(bytes)
    checkName(bytes)
    precondition(!RequestID.isAcceptable(bytes.span) || (1...128).contains(bytes.count), "an id without bounds")
}

private func checkTrace(_ bytes: [UInt8]) {
    guard let context = TraceContext(bytes.span) else { return }
    let text = String(decoding: bytes, as: UTF8.self)
    let parts = text.split(separator: "-", maxSplits: 4, omittingEmptySubsequences: false)
    precondition(parts.count >= 4 && parts.prefix(4).map(\.utf8.count) == [2, 32, 16, 2], "not the parts of a trace")
    let digits = parts.prefix(4).joined()
    precondition(digits.utf8.allSatisfy { 0x30...0x39 ~= $0 || 0x61...0x66 ~= $0 }, "no digits in lower case")
    precondition(parts[0] != "ff" && (parts[0] != "00" || bytes.count == 55), "a version that is none")
    precondition(parts[1].contains { $0 != "0" } && parts[2].contains { $0 != "0" }, "an id of zeros")

    var line = ByteBuffer()
    context.appendLine(to: &line)
    let sent = String(decoding: line.array, as: UTF8.self)
    precondition(sent.hasPrefix("traceparent: 00-\(parts[1])-\(parts[2])-0") && sent.hasSuffix("\r\n"), "another trace")
    let value = Array(line.array.dropFirst("traceparent: ".utf8.count).dropLast(2))
    precondition(TraceContext(value.span) == context, "a trace that does not return")
}

private func checkName(_ bytes: [UInt8]) {
    guard let payload = EncodedFieldValue.payload(of: 0..<bytes.count, in: bytes.span) else { return }
    precondition(bytes.starts(with: Array("=?base64?".utf8)) && bytes.suffix(2) == Array("?=".utf8), "no sentinel")
    guard let whole = EncodedFieldValue.decode(payload, in: bytes.span, limit: .max / 4) else { return }
    precondition(whole.count <= payload.count / 4 * 3, "more than was encoded")
    for limit in [1, 4, 100] {
        guard let part = EncodedFieldValue.decode(payload, in: bytes.span, limit: limit) else {
            preconditionFailure("a part that cannot be read of a whole that can")
        }
        precondition(whole.starts(with: part) && part.count >= min(limit, whole.count), "another beginning")
        precondition(part.count < limit + 3, "more than was asked for")
    }
}
