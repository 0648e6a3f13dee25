import TunnelCore

/// Parses a `Sec-WebSocket-Extensions` value, negotiates with it on both sides, and reads it as a server's answer.
///
/// What is parsed and written back parses to the same; what our server answers is well formed and within its wishes.
func checkWebSocketExtensions(_ bytes: [UInt8]) {
    checkNegotiation(String(decoding: bytes, as: UTF8.self))
    checkAnswer(bytes)
}

private func checkNegotiation(_ text: String) {
    guard let parsed = try? WebSocketExtension.parse([text]) else { return }
    precondition(!parsed.isEmpty, "a field without an extension")
    let written = parsed.map(\.description).joined(separator: ", ")
    if written.utf8.count <= WebSocketExtension.maxListBytes {
        precondition((try? WebSocketExtension.parse([written])) == parsed, "written back differently")
    }
    for wanted in [
        DeflateParameters(), DeflateParameters(serverNoContextTakeover: true, serverMaxWindowBits: 9),
        DeflateParameters(clientNoContextTakeover: true, clientMaxWindowBits: 10),
    ] {
        if let agreed = try? wanted.accept(parsed) { checkBounds(agreed, wanted) }
        guard let answer = wanted.answer(to: parsed) else { continue }
        checkBounds(answer.agreed, wanted)
        guard let response = try? WebSocketExtension.parse([answer.response]) else {
            preconditionFailure("our answer is malformed")
        }
        precondition(response.count == 1 && response[0].name == "permessage-deflate", "our answer is another")
    }
}

private func checkBounds(_ agreed: DeflateParameters, _ wanted: DeflateParameters) {
    precondition((8...wanted.serverMaxWindowBits).contains(agreed.serverMaxWindowBits), "server window")
    precondition((8...wanted.clientMaxWindowBits).contains(agreed.clientMaxWindowBits), "client window")
    precondition(agreed.serverNoContextTakeover || !wanted.serverNoContextTakeover, "server context")
    precondition(agreed.clientNoContextTakeover || !wanted.clientNoContextTakeover, "client context")
}

/// As a response to a client's handshake: a whole one says the same with more bytes behind it.
private func checkAnswer(_ bytes: [UInt8]) {
    guard
        let client = try? ClientHandshake(
            host: "a", subprotocols: ["mcp"], deflate: DeflateParameters(), key: "dGhlIHNhbXBsZSBub25jZQ==")
    else { preconditionFailure("our own request is refused") }
    guard let response = try? client.check(bytes.span) else { return }
    precondition(response.consumed <= bytes.count, "consumed what was not there")
    precondition((try? client.check((bytes + [0x0D, 0x0A, 0x82]).span)) == response, "the bytes behind mattered")
    precondition((try? client.check(Array(bytes[..<response.consumed]).span)) == response, "its own bytes suffice")
}
