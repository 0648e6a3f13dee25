import TunnelCore

/// A request head parses the same in any pieces, and what we forward of it is the same request to the next parser.
func checkHTTPRequestHead(_ bytes: [UInt8]) {
    // Small, so that the fuzzer reaches the limits too.
    let limits = HeadLimits(maxBytes: 2_048, maxFields: 20)
    let whole = outcome(bytes, limits, isDrip: false)
    let drip = outcome(bytes, limits, isDrip: true)
    precondition(whole.error == drip.error && whole.error?.reason == drip.error?.reason, "pieces change the error")
    precondition(whole.size == drip.size, "pieces change the size")
    guard let size = whole.size else { return }
    let head = whole.head
    precondition(size <= limits.maxBytes && head.fields.count <= limits.maxFields, "limits")
    precondition(head.fields == drip.head.fields && head.framing == drip.head.framing, "pieces change the head")
    precondition(!bytes[..<size].contains(0) && head.framing != .untilClose)

    // Without a host, which HTTP/1.0 allows, there is no route.
    guard !head.authority.isEmpty else { return }
    precondition(Authority.isValid(bytes.span.extracting(head.authority)), "invalid host let through")
    for framing in [head.framing, .chunked] {
        checkForwarded(head, bytes, framing, forwarded: nil)
        for extent in [ForwardedFields.Extent.hostAndProto, .full] {
            let forwarded = ForwardedFields(
                clientAddress: Array("2001:db8::1".utf8), isSecure: true, extent: extent)
            checkForwarded(head, bytes, framing, forwarded: forwarded)
        }
    }
}

private func checkForwarded(
    _ head: RequestHead, _ bytes: [UInt8], _ framing: BodyFraming, forwarded: ForwardedFields?
) {
    var out = ByteBuffer()
    head.appendForwarded(
        bytes.span, framing: framing, upgrade: true, forwarded: forwarded, extraLines: Array("X-Extra: 1\r\n".utf8),
        into: &out)
    let copy = out.array
    var next = RequestHead()
    guard let size = try? next.parse(copy.span, limits: HeadLimits(maxBytes: 8_192, maxFields: 100)) else {
        preconditionFailure("what we forward is refused")
    }
    precondition(size == copy.count, "what we forward is two messages")
    precondition(next.method == head.method && next.minorVersion == 1 && next.framing == framing, "another request")
    precondition(Array(copy[next.methodRange]) == Array(bytes[head.methodRange]), "another method")
    precondition(Array(copy[next.path]) == Array(bytes[head.path]) || head.path.isEmpty, "another path")
    precondition(Array(copy[next.authority]) == Array(bytes[head.authority]), "another host")
    precondition(next.isWebSocketUpgrade == head.isWebSocketUpgrade, "another upgrade")
    if head.targetForm != .absolute {
        precondition(Array(copy[next.target]) == Array(bytes[head.target]), "another target")
    }
    precondition(next.first(.proxy) == nil && (forwarded == nil || next.first(.forwardingAlias) == nil), "spoofed")
    precondition(next.bindsConnection == false || head.bindsConnection, "a login from nowhere")
    // Only Connection and what it stands for may be hop-by-hop in our own head.
    for field in next.fields where field.isHopByHop {
        precondition([.connection, .te, .upgrade, .transferEncoding].contains(field.id), "hop-by-hop field passed on")
    }
}

private func outcome(
    _ bytes: [UInt8], _ limits: HeadLimits, isDrip: Bool
) -> (head: RequestHead, size: Int?, error: HTTPError?) {
    var head = RequestHead()
    var end = isDrip ? 0 : bytes.count
    while true {
        // A copy of exactly these bytes: reading past them is seen by the sanitizer.
        let piece = Array(bytes[..<end])
        do throws(HTTPError) {
            if let size = try head.parse(piece.span, limits: limits) { return (head, size, nil) }
        } catch { return (head, nil, error) }
        if end == bytes.count { return (head, nil, nil) }
        end += 1
    }
}
