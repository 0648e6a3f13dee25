internal import TunnelAPI
internal import TunnelCore

/// Reads the input as every response that the Tunnels API and its token endpoint give, as an error and as a time.
/// Nothing may trap; what is accepted must be fit for paths and headers; what an error shows must be one bounded line
/// without the secret, which the input may hold.
func checkAPIResponse(_ bytes: [UInt8]) {
    let secret = "tunnels-key-0123456789-abcdefghij"
    if let tunnel = try? APIResponse.tunnel(bytes) { check(tunnel) }
    if let page = try? APIResponse.tunnels(bytes) {
        for tunnel in page.items { check(tunnel) }
        precondition(page.next?.isEmpty != true, "an empty cursor")
    }
    if let certificate = try? APIResponse.certificate(bytes) { check(certificate) }
    if let page = try? APIResponse.certificates(bytes) { for certificate in page.items { check(certificate) } }
    if let token = try? APIResponse.token(bytes) { checkHeaderValue(token.value.reveal()) }
    if let token = try? AccessToken(response: bytes) {
        checkHeaderValue(token.value.reveal())
        precondition(token.lifetime.map { (0...315_360_000).contains($0) } ?? true, "a lifetime out of bounds")
    }

    let text = String(decoding: bytes, as: UTF8.self)
    let redaction = Redaction([Secret(secret)])
    let fields = [HTTPField("request-id", text)]
    let said = ServerMessage(HTTPResponse(status: 400, fields: fields, body: bytes), redaction)
    for shown in [said.message, said.type ?? "", said.requestID ?? "", redaction(text)] {
        precondition(shown.unicodeScalars.count <= Redaction.maxCharacters, "a text without bounds")
        precondition(!shown.contains(secret), "a secret in an error")
        precondition(shown.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }, "a control character")
    }
    for time in [UnixTime(rfc3339: text), UnixTime(httpDate: text, now: UnixTime(seconds: 1_800_000_000))] {
        guard let time else { continue }
        precondition((0..<1_000_000_000).contains(time.nanoseconds), "a fraction of more than a second")
        precondition((-62_167_305_600...253_402_387_200).contains(time.seconds), "a year with five digits")
    }
}

private func check(_ tunnel: Tunnel) {
    checkID(tunnel.id)
    precondition(tunnel.domain.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x2F }, "a domain that is no name")
}

private func check(_ certificate: TunnelCertificate) {
    checkID(certificate.id)
    checkID(certificate.tunnelID)
    precondition(certificate.fingerprint.utf8.count == 64, "a fingerprint that is none")
}

private func checkID(_ id: String) {
    let isPlain = id.utf8.allSatisfy { byte in
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            || byte == 0x2D || byte == 0x5F
    }
    precondition(isPlain && (1...128).contains(id.utf8.count), "an id that is none")
}

private func checkHeaderValue(_ value: String) {
    precondition(!value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "a token that no header holds")
}
