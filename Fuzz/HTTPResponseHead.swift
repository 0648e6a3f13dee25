import TunnelCore

/// A response head parses the same in any pieces, and what we forward of it is the same response to the client.
func checkHTTPResponseHead(_ bytes: [UInt8]) {
    for method in [Method.get, .head] {
        let whole = outcome(bytes, method, isDrip: false)
        let drip = outcome(bytes, method, isDrip: true)
        precondition(whole.error == drip.error && whole.error?.reason == drip.error?.reason, "pieces change the error")
        precondition(whole.size == drip.size, "pieces change the size")
        guard whole.size != nil else { continue }
        precondition(whole.head.fields == drip.head.fields && whole.head.framing == drip.head.framing, "another head")
        precondition(100...599 ~= whole.head.status)
        for version in [0, 1] as [UInt8] {
            for connection in [ConnectionRule.keepAlive, .close, .upgrade] {
                checkForwarded(whole.head, bytes, method, connection, version)
            }
        }
    }
}

private func checkForwarded(
    _ head: ResponseHead, _ bytes: [UInt8], _ method: Method, _ connection: ConnectionRule, _ version: UInt8
) {
    var out = ByteBuffer()
    let framing = head.framing(forMinorVersion: version)
    head.appendForwarded(
        bytes.span, framing: framing, connection: connection, clientMinorVersion: version, into: &out)
    let copy = out.array
    var next = ResponseHead()
    let limits = HeadLimits(maxBytes: 8_192, maxFields: 100)
    guard let size = try? next.parse(copy.span, limits: limits, requestMethod: method) else {
        preconditionFailure("what we forward is refused")
    }
    precondition(size == copy.count, "what we forward is two messages")
    precondition(next.status == head.status && next.minorVersion == 1 && next.framing == framing, "another response")
    precondition(Array(copy[next.reason]) == Array(bytes[head.reason]), "another reason")
    precondition(next.isEventStream == head.isEventStream, "another media type")
    if !head.isInformational {
        precondition(next.isPersistent == (connection != .close && framing != .untilClose), "another persistence")
    }
    for field in next.fields where field.isHopByHop {
        precondition([.connection, .upgrade, .transferEncoding].contains(field.id), "hop-by-hop field passed on")
    }
}

private func outcome(
    _ bytes: [UInt8], _ method: Method, isDrip: Bool
) -> (head: ResponseHead, size: Int?, error: HTTPError?) {
    // Small, so that the fuzzer reaches the limits too.
    let limits = HeadLimits(maxBytes: 2_048, maxFields: 20)
    var head = ResponseHead()
    var end = isDrip ? 0 : bytes.count
    while true {
        let piece = Array(bytes[..<end])
        do throws(HTTPError) {
            if let size = try head.parse(piece.span, limits: limits, requestMethod: method) { return (head, size, nil) }
        } catch { return (head, nil, error) }
        if end == bytes.count { return (head, nil, nil) }
        end += 1
    }
}
