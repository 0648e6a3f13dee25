import TunnelCore

/// Reads the input as the request that opens a WebSocket, and as the response to one of ours.
///
/// A request that is accepted is one that RFC 6455 §4.2.1 describes, and what is sent back is one response, with nothing
/// in it that the peer could have put there. A response that is accepted agrees to nothing that was not offered.
func checkUpgradeHeads(_ bytes: [UInt8]) {
    checkRequest(bytes)
    checkHandshake(bytes)
    checkResponse(bytes)
}

private let wanted = DeflateParameters(serverNoContextTakeover: true, serverMaxWindowBits: 12, clientMaxWindowBits: 11)

private func checkRequest(_ bytes: [UInt8]) {
    var head = RequestHead()
    let limits = HeadLimits(maxBytes: 4_096, maxFields: 40)
    guard let size = try? head.parse(bytes.span, limits: limits) else { return }
    let request = UpgradeRequest(head, in: bytes.span.extracting(..<size))
    for deflate in [nil, DeflateParameters(), wanted] {
        switch request.evaluate(subprotocol: "mcp", deflate: deflate) {
        case .upgrade(let acceptance):
            let isAsked = request.protocols.contains { list in
                list.split(separator: ",").contains { $0.filter { $0 != " " && $0 != "\t" } == "mcp" }
            }
            precondition(acceptance.subprotocol == (isAsked ? "mcp" : nil), "a subprotocol against the request")
            checkAccepted(acceptance, of: bytes[..<size], wanted: deflate)
        case .reject(let rejection):
            precondition([400, 405, 426].contains(rejection.status), "another status than the RFC has")
            let text = rejection.fields.reduce(rejection.reason) { $0 + $1.name + $1.value }
            precondition(text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "more than one line")
        }
    }
}

/// A whole handshake takes exactly what the parts of it take, wherever its bytes are cut.
private func checkHandshake(_ bytes: [UInt8]) {
    let limits = HeadLimits(maxBytes: 4_096, maxFields: 40)
    func outcome(first: Int) -> (consumed: Int, status: UInt16)? {
        var handshake = ServerHandshake(subprotocols: ["mcp"], deflate: DeflateParameters(), limits: limits)
        do throws(ServerHandshake.Refusal) {
            var request = try handshake.check(bytes.span.extracting(..<first))
            if request == nil { request = try handshake.check(bytes.span) }
            return request.map { ($0.consumed, 101) }
        } catch {
            var response = ByteBuffer()
            error.appendResponse(into: &response)
            let sent = response.array
            var head = ResponseHead()
            precondition((try? head.parse(sent.span, requestMethod: .get)) != nil, "a refusal that cannot be read")
            return (0, error.status)
        }
    }
    let whole = outcome(first: bytes.count)
    precondition(outcome(first: bytes.count / 2).map(\.status) == whole.map(\.status), "a cut decides")
    guard let whole, whole.status == 101 else { return }
    var head = RequestHead()
    guard (try? head.parse(bytes.span, limits: limits)) == whole.consumed, head.framing.isEmpty,
        case .upgrade = UpgradeRequest(head, in: bytes.span).evaluate(deflate: DeflateParameters())
    else { preconditionFailure("an upgrade that is none") }
}

private func checkAccepted(
    _ acceptance: UpgradeRequest.Acceptance, of head: ArraySlice<UInt8>, wanted: DeflateParameters?
) {
    precondition(holds(head, "get ") && holds(head, "upgrade:") && holds(head, "websocket"), "no upgrade")
    precondition(holds(head, "sec-websocket-version:") && holds(head, acceptance.key), "no WebSocket's head")
    precondition((acceptance.deflate == nil) == (acceptance.extensions == nil), "half of an extension")
    precondition(acceptance.deflate == nil || holds(head, "permessage-deflate"), "an extension from nowhere")
    precondition(wanted != nil || acceptance.deflate == nil, "an extension that we do not want")
    if let wanted, let agreed = acceptance.deflate {
        precondition(agreed.serverNoContextTakeover || !wanted.serverNoContextTakeover, "less than we want")
        precondition(agreed.serverMaxWindowBits <= wanted.serverMaxWindowBits, "a larger window than we want")
        precondition(agreed.clientMaxWindowBits <= wanted.clientMaxWindowBits, "a larger window than we want")
    }

    var buffer = ByteBuffer()
    acceptance.appendResponse(into: &buffer)
    let sent = buffer.array
    var response = ResponseHead()
    let limits = HeadLimits()
    guard let size = try? response.parse(sent.span, limits: limits, requestMethod: .get) else {
        preconditionFailure("a response that cannot be read")
    }
    precondition(size == sent.count && response.status == 101 && response.switchesToWebSocket, "not one response")
    let expected = 3 + (acceptance.subprotocol == nil ? 0 : 1) + (acceptance.extensions == nil ? 0 : 1)
    precondition(response.fields.count == expected, "a field that we did not write")
    // Whoever asked for exactly this agrees.
    guard acceptance.deflate == nil else { return }
    guard
        let client = try? ClientHandshake(host: "h", subprotocols: ["mcp"], deflate: nil, key: acceptance.key),
        let read = try? client.check(sent.span)
    else { preconditionFailure("a response that a client refuses") }
    precondition(read.consumed == sent.count && read.subprotocol == acceptance.subprotocol, "another response")
}

/// Whether the bytes of a text stand in a head, whatever stands beside them. Case does not count.
private func holds(_ head: ArraySlice<UInt8>, _ text: String) -> Bool {
    let wanted = Array(text.lowercased().utf8)
    let lower = head.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
    return lower.indices.contains { lower[$0...].starts(with: wanted) }
}

private func checkResponse(_ bytes: [UInt8]) {
    // The key of the RFC's own example (§1.3), so that an input can hold the value that goes with it.
    let key = "dGhlIHNhbXBsZSBub25jZQ=="
    for deflate in [nil, wanted] {
        guard let client = try? ClientHandshake(host: "h", subprotocols: ["mcp"], deflate: deflate, key: key) else {
            preconditionFailure("a request that we may not make")
        }
        guard let response = try? client.check(bytes.span) else { continue }
        precondition(response.consumed <= min(bytes.count, ClientHandshake.maxResponseHead), "more than there was")
        let head = bytes[..<response.consumed]
        precondition(holds(head, "http/1.1 101") && holds(head, WebSocketHandshake.accept(forKey: key)), "no 101")
        precondition(response.subprotocol == nil || response.subprotocol == "mcp", "a subprotocol of the server's")
        guard let agreed = response.deflate else { continue }
        precondition(deflate != nil, "an extension that was not offered")
        precondition(agreed.serverNoContextTakeover && agreed.serverMaxWindowBits <= 12, "less than we asked for")
        precondition(agreed.clientMaxWindowBits <= 11, "a larger window than we said")
    }
}
