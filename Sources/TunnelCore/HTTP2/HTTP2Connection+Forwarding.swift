/// What a proxy needs that passes responses of an upstream on.
extension HTTP2Connection {
    /// Sends a head of a response as it came from an upstream: the fields that are not of its connection, in their order.
    ///
    /// - Parameter status: the head's own, or 200 in place of the 101 that accepts a WebSocket (RFC 8441 §5).
    /// - Parameter bytes: those that the head was parsed from.
    /// - Parameter lines: further lines, in place of all that have one of their names.
    /// - Parameter endsStream: no body follows.
    /// - Returns: false if the stream takes none any more.
    @discardableResult
    package mutating func sendResponse(
        _ stream: UInt32, status: UInt16, _ head: borrowing ResponseHead, _ bytes: Span<UInt8>,
        adding lines: borrowing AddedLines, endsStream: Bool = false
    ) -> Bool {
        guard let slot = slotToSend(stream, .head) else { return false }
        if status >= 200 { streams.slots[slot].outgoing = endsStream ? .done : .body }
        let isPipe = status != head.status
        let mayHaveLength = head.status >= 200 && head.status != 204
        let start = control.beginHeaders()
        encoder.begin(into: &control)
        encoder.encode(status: status, into: &control)
        for field in head.fields {
            var value = field.value
            switch field.id {
            case .contentLength:
                guard mayHaveLength else { continue }
                // A reader that takes leading zeros for octal would see another length.
                while value.count > 1, bytes[value.lowerBound] == 0x30 { value = value.dropFirst() }
            case .upgrade, .transferEncoding: continue
            case .secWebSocketAccept where isPipe: continue
            default: if field.isHopByHop || lines.replaced.contains(field.id) { continue }
            }
            encoder.encode(
                name: bytes.extracting(field.name), value: bytes.extracting(value),
                indexing: field.isNeverIndexed ? .never : .automatic, into: &control)
        }
        lines.lines.withBytes { encodeLines($0) }
        control.endHeaders(from: start, stream: stream, endsStream: endsStream, maxFrameSize: peerMaxFrameSize)
        promiseBody(slot, head.status)
        return true
    }

    /// Whether a connection begins with the preface of HTTP/2 (RFC 9113 §3.4); `nil` while that is uncertain.
    package static func isPreface(_ bytes: Span<UInt8>) -> Bool? {
        let whole = preface.utf8CodeUnitCount
        for i in 0..<min(bytes.count, whole) {
            // SAFETY: `i` is below the length of the StaticString.
            guard bytes[i] == preface.utf8Start[i] else { return false }
        }
        return bytes.count >= whole ? true : nil
    }

    /// Where the stream is kept, until it is released: a small number, which another stream gets afterwards.
    package func slot(of stream: UInt32) -> Int? { streams.find(stream) }

    /// A stream waits for its turn to send, and not for the connection's window.
    package var hasDataToSend: Bool { !scheduler.isEmpty && window.available > 0 }
}
