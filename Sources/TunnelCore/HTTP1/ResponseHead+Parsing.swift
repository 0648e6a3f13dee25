extension ResponseHead {
    /// Parses the head at the front of `bytes`.
    ///
    /// - Parameter bytes: everything received from the first byte of the head on; more may follow it.
    /// - Parameter requestMethod: the method of the request that it answers; it decides whether there is a body.
    /// - Returns: the bytes of the whole head, its final empty line included, or `nil` if more are needed.
    /// - Throws: 400 for a malformed or ambiguous head, 431 above a limit, 505 for another version. The head is of no
    ///   use afterwards, until `reset()`.
    public mutating func parse(
        _ bytes: Span<UInt8>, limits: HeadLimits = HeadLimits(), requestMethod: Method
    ) throws(HTTPError) -> Int? {
        let resumed = phase
        phase = .failed
        switch resumed {
        case .failed: throw .badMessage("head already refused")
        case .done:
            phase = .done
            return section.lines.position
        case .start:
            guard let line = try section.lines.next(in: bytes, limit: limits.byteLimit) else {
                phase = .start
                return nil
            }
            try parseStatusLine(line, bytes)
            section.begin()
        case .fields: break
        }
        guard try section.read(bytes, limits) else {
            phase = .fields
            return nil
        }
        try interpretFields(bytes, requestMethod)
        phase = .done
        return section.lines.position
    }

    /// `HTTP-version SP status-code [ SP reason-phrase ]`.
    private mutating func parseStatusLine(_ line: Range<Int>, _ bytes: Span<UInt8>) throws(HTTPError) {
        minorVersion = try HTTPVersion.minor(line.prefix(8), bytes)
        let start = line.lowerBound
        guard line.count >= 12, bytes[start + 8] == HTTPByte.space else { throw Self.badStatus }
        for i in start + 9..<start + 12 {
            guard let digit = bytes[i].decimalDigit else { throw Self.badStatus }
            status = status * 10 + UInt16(digit)
        }
        guard 100...599 ~= status else { throw Self.badStatus }
        if line.count == 12 {
            reason = line.upperBound..<line.upperBound
        } else {
            guard bytes[start + 12] == HTTPByte.space else { throw Self.badStatus }
            reason = start + 13..<line.upperBound
        }
    }

    private static var badStatus: HTTPError { .badMessage("malformed status line (RFC 9112 4)") }

    private mutating func interpretFields(_ bytes: Span<UInt8>, _ requestMethod: Method) throws(HTTPError) {
        let options = try section.markHopByHop(bytes)
        let fields = try FramingFields(section.fields, bytes, minorVersion: minorVersion)
        if status < 200 || status == 204 {
            guard !fields.isChunked, fields.length ?? 0 == 0 else {
                throw .badMessage("\(status) with a body (RFC 9112 6.3)")
            }
            framing = .none
        } else if requestMethod == .head || status == 304 {
            framing = .none
        } else {
            framing = fields.isChunked ? .chunked : fields.length.map { .length($0) } ?? .untilClose
        }
        isPersistent = framing != .untilClose && options.isPersistent(minorVersion: minorVersion)
        bindsConnection = ConnectionLogin.isNamed(in: section, bytes)
        isEventStream = section.first(.contentType).map { Self.isEventStream($0.value, bytes) } ?? false
        switchesToWebSocket = status == 101 && options.upgrades && namesOnlyWebSocket(bytes)
        if section.names.contains(.keepAlive) { keepAliveTimeout = KeepAlive.timeout(section.fields, bytes) }
    }

    private func namesOnlyWebSocket(_ bytes: Span<UInt8>) -> Bool {
        var isNamed = false
        for field in section.fields where field.id == .upgrade {
            guard !isNamed, bytes.matches(field.value, ignoringCase: "websocket") else { return false }
            isNamed = true
        }
        return isNamed
    }

    /// The media type without its parameters is `text/event-stream`.
    static func isEventStream(_ value: Range<Int>, _ bytes: Span<UInt8>) -> Bool {
        var end = value.lowerBound
        while end < value.upperBound, bytes[end] != HTTPByte.semicolon { end += 1 }
        return bytes.matches(bytes.trimmed(value.lowerBound..<end), ignoringCase: "text/event-stream")
    }
}

/// `Keep-Alive: timeout=5, max=100`, an old field that no RFC defines and that most servers send (RFC 9112 §C.2.2).
private enum KeepAlive {
    /// The shortest time that a Keep-Alive names in whole seconds; what is not understood is passed over.
    static func timeout(_ fields: [Field], _ bytes: Span<UInt8>) -> Int? {
        var shortest: Int?
        for field in fields where field.id == .keepAlive {
            var list = TokenList(field.value)
            while let element = list.next(in: bytes) {
                guard let seconds = seconds(element, bytes) else { continue }
                shortest = min(shortest ?? seconds, seconds)
            }
        }
        return shortest
    }

    private static func seconds(_ element: Range<Int>, _ bytes: Span<UInt8>) -> Int? {
        let name = element.prefix(7)
        guard bytes.matches(name, ignoringCase: "timeout") else { return nil }
        let rest = bytes.trimmed(name.upperBound..<element.upperBound)
        guard !rest.isEmpty, bytes[rest.lowerBound] == 0x3D else { return nil }
        let digits = bytes.trimmed(rest.lowerBound + 1..<rest.upperBound)
        guard !digits.isEmpty else { return nil }
        var seconds = 0
        for i in digits {
            guard let digit = bytes[i].decimalDigit else { return nil }
            // Ten years and a number that does not fit are the same to a pool.
            seconds = min(seconds * 10 + Int(digit), 1 << 30)
        }
        return seconds
    }
}
