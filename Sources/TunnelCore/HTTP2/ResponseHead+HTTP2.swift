extension ResponseHead {
    /// Reads a header block as a response (RFC 9113 §8.3.2). The head refers to the bytes of `list`, whose fields it takes
    /// over, and is the same as that of the response in HTTP/1.1; a body of no known length is `.chunked`.
    ///
    /// - Parameter endsStream: no body follows.
    /// - Parameter requestMethod: the method of the request that it answers.
    /// - Throws: 400 for a response that is malformed (RFC 9113 §8.1.1), a stream error PROTOCOL_ERROR on the wire. The head
    ///   is of no use afterwards, until `reset()`.
    package mutating func interpret(
        _ list: inout HPACKFieldList, endsStream: Bool, requestMethod: Method
    ) throws(HTTPError) {
        reset()
        phase = .failed
        let pseudo = try list.bytes.withBytes { bytes throws(HTTPError) in
            let pseudo = try PseudoFields(list.fields)
            try interpretStatus(pseudo, bytes)
            return pseudo
        }
        for index in pseudo.count..<list.fields.count { try list.fields[index].checkForHTTP2() }
        section.adopt(&list.fields, skipping: pseudo.count, end: list.bytes.count)
        try list.bytes.withBytes { bytes throws(HTTPError) in
            try interpretHTTP2Fields(bytes, requestMethod, endsStream: endsStream)
        }
        phase = .done
    }

    private mutating func interpretStatus(_ pseudo: PseudoFields, _ bytes: Span<UInt8>) throws(HTTPError) {
        guard let value = pseudo.status, pseudo.count == 1, value.count == 3 else {
            throw .badMessage("no :status, or another pseudo-header (RFC 9113 8.3.2)")
        }
        for i in value {
            guard let digit = bytes[i].decimalDigit else { throw .badMessage("invalid :status (RFC 9113 8.3.2)") }
            status = status * 10 + UInt16(digit)
        }
        guard 100...599 ~= status, status != 101 else { throw .badMessage("invalid :status (RFC 9113 8.3.2, 8.6)") }
        reason = value.upperBound..<value.upperBound
    }

    private mutating func interpretHTTP2Fields(
        _ bytes: Span<UInt8>, _ requestMethod: Method, endsStream: Bool
    ) throws(HTTPError) {
        _ = try section.markHopByHop(bytes)
        let length = try FramingFields(section.fields, bytes, minorVersion: 1).length
        if status < 200 {
            // RFC 9113 §8.1: the stream goes on with the final response.
            guard !endsStream, length ?? 0 == 0 else {
                throw .badMessage("\(status) that ends or has a body (RFC 9113 8.1)")
            }
            framing = .none
        } else if requestMethod == .head || status == 304 || status == 204 {
            framing = .none
        } else {
            guard !endsStream || length ?? 0 == 0 else {
                throw .badMessage("content-length without a body (RFC 9113 8.1.1)")
            }
            framing = length.map { .length($0) } ?? (endsStream ? .length(0) : .chunked)
        }
        isPersistent = true
        bindsConnection = ConnectionLogin.isNamed(in: section, bytes)
        isEventStream = section.first(.contentType).map { Self.isEventStream($0.value, bytes) } ?? false
    }
}
