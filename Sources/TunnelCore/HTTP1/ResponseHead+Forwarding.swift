/// What becomes of the client's connection after a response.
public enum ConnectionRule: Sendable, Equatable {
    case keepAlive
    case close
    /// It becomes a byte pipe: a 101.
    case upgrade
}

extension ResponseHead {
    /// How the body can be passed on to a client of that version: what has no length is chunked for HTTP/1.1 and ends
    /// with the connection for HTTP/1.0.
    public func framing(forMinorVersion minorVersion: UInt8) -> BodyFraming {
        switch framing {
        case .none, .length: framing
        case .chunked, .untilClose: minorVersion > 0 ? .chunked : .untilClose
        }
    }

    /// Appends the response as it goes to the client: status line of HTTP/1.1 (RFC 9110 §6.2 has each hop send its
    /// own version), the fields that are not hop-by-hop byte for byte, in their order and case.
    ///
    /// - Parameter bytes: those that the head was parsed from.
    /// - Parameter framing: how the body will be sent, usually `framing(forMinorVersion:)`. As long as that is
    ///   `self.framing`, Content-Length stays in its place, less leading zeros, also that of a response to HEAD;
    ///   otherwise it is dropped or written anew. Trailer goes with `.chunked` only.
    /// - Parameter connection: what to say about the client's connection. A body that ends with it closes it, whatever
    ///   stands here, and an informational head says nothing.
    /// - Parameter clientMinorVersion: 1 or 0. HTTP/1.0 has no informational heads: do not send it any.
    /// - Parameter extraLines: further field lines, each with its CRLF.
    public func appendForwarded(
        _ bytes: Span<UInt8>, framing: BodyFraming, connection: ConnectionRule, clientMinorVersion: UInt8,
        extraLines: [UInt8] = [], into out: inout ByteBuffer
    ) {
        appendForwarded(
            bytes, framing: framing, connection: connection, clientMinorVersion: clientMinorVersion,
            replacing: FieldNames(), with: extraLines.span, into: &out)
    }

    /// The same with lines of ours in place of all that have one of these names.
    package func appendForwarded(
        _ bytes: Span<UInt8>, framing: BodyFraming, connection: ConnectionRule, clientMinorVersion: UInt8,
        replacing replaced: FieldNames, with extraLines: Span<UInt8>, into out: inout ByteBuffer
    ) {
        let mayHaveLength = status >= 200 && status != 204
        let isLengthKept = framing == self.framing && mayHaveLength
        // By HTTP/2 the end of a stream may say alone that there is no body.
        var hasLength = false

        out.reserve(section.lines.position + extraLines.count + Self.headroom)
        out.append("HTTP/1.1 ")
        out.append(decimal: UInt64(status))
        out.append(0x20)
        out.append(bytes.extracting(reason))
        out.append("\r\n")
        var copy = FieldCopy(from: section.start)
        for field in section.fields {
            if field.id == .contentLength, isLengthKept {
                copy.keepLength(field, bytes, into: &out)
                hasLength = true
                continue
            }
            let isKept =
                switch field.id {
                case .contentLength: false
                case .upgrade: connection == .upgrade || status == 426
                case .trailer: framing == .chunked && !field.isHopByHop
                default: !field.isHopByHop && !replaced.contains(field.id)
                }
            if isKept { copy.keep(field) } else { copy.drop(field, bytes, into: &out) }
        }
        copy.flush(bytes, into: &out)
        out.appendFramingField(framing, isLengthKept: hasLength)
        if !isInformational {
            appendConnection(framing == .untilClose ? .close : connection, clientMinorVersion, into: &out)
        }
        out.append(extraLines)
        out.append("\r\n")
    }

    /// Room for the lines that are written anew, so that a head of usual size grows the buffer once.
    private static var headroom: Int { 128 }

    private func appendConnection(_ rule: ConnectionRule, _ minorVersion: UInt8, into out: inout ByteBuffer) {
        // RFC 9110 §15.5.22: a 426 names in Upgrade what the server wants instead, and Connection names Upgrade.
        let hasUpgrade = status == 426 && section.first(.upgrade) != nil
        switch rule {
        case .upgrade: out.append("Connection: upgrade\r\n")
        case .close: out.append(hasUpgrade ? "Connection: close, upgrade\r\n" : "Connection: close\r\n")
        case .keepAlive:
            if hasUpgrade {
                out.append("Connection: upgrade\r\n")
            } else if minorVersion == 0 {
                out.append("Connection: keep-alive\r\n")
            }
        }
    }
}
