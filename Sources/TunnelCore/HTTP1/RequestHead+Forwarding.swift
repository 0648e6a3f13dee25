/// Which Host the upstream sees.
@nonexhaustive
public enum HostRule: Sendable, Equatable {
    /// The client's, byte for byte.
    case preserve
    /// This value, which is a valid authority.
    case replace([UInt8])
}

extension RequestHead {
    /// Appends the request as it goes to the upstream: always HTTP/1.1, an absolute target in origin form, the fields
    /// that are not hop-by-hop byte for byte, in their order and case. A field `Proxy` is dropped.
    ///
    /// - Parameter bytes: those that the head was parsed from.
    /// - Parameter framing: how the body will be sent. As long as that is `self.framing`, Content-Length stays in its
    ///   place, less leading zeros; otherwise it is dropped or written anew. A request cannot end with its connection,
    ///   so `.untilClose` counts as `.chunked`. Trailer goes with `.chunked` only.
    /// - Parameter upgrade: ask the upstream for WebSocket, if the client asks for it (`isWebSocketUpgrade`).
    /// - Parameter forwarded: what to say about the client, in place of what it says itself, or `nil` to leave these fields
    ///   as they came.
    /// - Parameter extraLines: further field lines, each with its CRLF.
    public func appendForwarded(
        _ bytes: Span<UInt8>, host: HostRule = .preserve, framing: BodyFraming, upgrade: Bool = false,
        forwarded: ForwardedFields? = nil, extraLines: [UInt8] = [], into out: inout ByteBuffer
    ) {
        appendForwarded(
            bytes, host: host, framing: framing, upgrade: upgrade, forwarded: forwarded, replacing: FieldNames(),
            with: extraLines.span, into: &out)
    }

    /// The same with lines of ours in place of all that have one of these names.
    ///
    /// - Parameter others: further names, in lower case. A line whose name differs from one of these only in `_` for `-` is
    ///   left out as well: CGI and WSGI make one name of both.
    package func appendForwarded(
        _ bytes: Span<UInt8>, host: HostRule, framing: BodyFraming, upgrade: Bool, forwarded: ForwardedFields?,
        replacing replaced: FieldNames, others: [[UInt8]] = [], with extraLines: Span<UInt8>,
        into out: inout ByteBuffer
    ) {
        let framing = framing == .untilClose ? .chunked : framing
        let isLengthKept = framing == self.framing
        let passesUpgrade = upgrade && isWebSocketUpgrade
        // Proxy would be HTTP_PROXY to a CGI program, whose own requests would then go where the client says.
        let dropped = (forwarded?.replaced ?? FieldNames()).union(replaced).with(.proxy)
        var wantsTrailers = false
        var hasHost = false

        out.reserve(section.lines.position + extraLines.count + Self.headroom)
        appendRequestLine(bytes, into: &out)
        var copy = FieldCopy(from: section.start)
        for field in section.fields {
            switch field.id {
            case .host:
                hasHost = true
                guard case .replace(let value) = host else { break }
                copy.drop(field, bytes, into: &out)
                out.append(bytes.extracting(field.name))
                out.append(": ")
                out.append(value)
                out.append("\r\n")
                continue
            case .contentLength where isLengthKept:
                copy.keepLength(field, bytes, into: &out)
                continue
            case .upgrade where passesUpgrade && namesOnlyWebSocket: break
            case .te where minorVersion > 0 && TokenList.contains("trailers", in: field.value, of: bytes):
                wantsTrailers = true
                copy.drop(field, bytes, into: &out)
                continue
            case .contentLength,
                .secWebSocketKey where !connectProtocol.isEmpty,
                .trailer where framing != .chunked,
                // RFC 9110 §10.1.1: an HTTP/1.0 client cannot read the 100 that it would lead to.
                .expect where minorVersion == 0,
                _ where field.isHopByHop || dropped.contains(field.id),
                _ where !others.isEmpty && Self.isNamed(bytes.extracting(field.name), others):
                copy.drop(field, bytes, into: &out)
                continue
            default: break
            }
            copy.keep(field)
        }
        copy.flush(bytes, into: &out)

        if !hasHost { appendHost(host, bytes, into: &out) }
        out.appendFramingField(framing, isLengthKept: isLengthKept)
        if wantsTrailers { out.append("TE: trailers\r\n") }
        if passesUpgrade, !namesOnlyWebSocket { out.append("Upgrade: websocket\r\n") }
        if passesUpgrade, !webSocketKey.isEmpty {
            out.append("Sec-WebSocket-Key: ")
            out.append(webSocketKey)
            out.append("\r\n")
        }
        if wantsTrailers || passesUpgrade {
            // RFC 9110 §7.8, §10.1.4: both fields are to be named in Connection.
            out.append("Connection: ")
            if passesUpgrade { out.append("upgrade") }
            if wantsTrailers { out.append(passesUpgrade ? ", TE" : "TE") }
            out.append("\r\n")
        }
        if let forwarded { forwarded.append(for: self, bytes, into: &out) }
        out.append(extraLines)
        out.append("\r\n")
    }

    @inline(never)
    private static func isNamed(_ name: Span<UInt8>, _ names: [[UInt8]]) -> Bool {
        names.contains { other in
            guard other.count == name.count else { return false }
            for index in name.indices {
                let byte = name[index]
                let lower = (0x41...0x5A).contains(byte) ? byte | 0x20 : byte == 0x5F ? 0x2D : byte
                if lower != (other[index] == 0x5F ? 0x2D : other[index]) { return false }
            }
            return true
        }
    }

    /// Room for the lines that are written anew, so that a head of usual size grows the buffer once.
    private static var headroom: Int { 256 }

    private func appendRequestLine(_ bytes: Span<UInt8>, into out: inout ByteBuffer) {
        out.append(bytes.extracting(methodRange))
        out.append(0x20)
        if targetForm != .absolute {
            out.append(bytes.extracting(target))
        } else if !pathAndQuery.isEmpty {
            // RFC 9112 §3.2.1: an empty path is sent as "/".
            if path.isEmpty { out.append(0x2F) }
            out.append(bytes.extracting(pathAndQuery))
        } else {
            // RFC 9112 §3.2.4: OPTIONS without path or query is about the server as a whole.
            out.append(method == .options ? 0x2A : 0x2F)
        }
        out.append(" HTTP/1.1\r\n")
    }

    /// An HTTP/1.0 request may come without Host, an HTTP/1.1 request never.
    private func appendHost(_ host: HostRule, _ bytes: Span<UInt8>, into out: inout ByteBuffer) {
        out.append("Host: ")
        switch host {
        case .preserve: out.append(bytes.extracting(authority))
        case .replace(let value): out.append(value)
        }
        out.append("\r\n")
    }
}
