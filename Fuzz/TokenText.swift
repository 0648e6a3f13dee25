internal import TunnelAPI
internal import TunnelCore

/// Reads the input as an identity provider's token and as a file that Kubernetes mounts. What is accepted is one word that
/// a header holds, or bounded text without white space around it; no error shows any of it.
func checkTokenText(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    do throws(IdentityToken.Failure) {
        let token = try IdentityToken.read(.value(Secret(text))).reveal()
        precondition((1...IdentityToken.maxBytes).contains(token.utf8.count), "a token beyond the limit")
        precondition(token.unicodeScalars.first?.properties.isWhitespace == false, "white space before a token")
    } catch { precondition(text.utf8.count < 8 || !error.reason.contains(text), "a token in an error") }
    if case .success(let line) = MountedFile.line(in: bytes) {
        precondition(!line.isEmpty && line.utf8.allSatisfy { $0 < 0x80 }, "a line that is not ASCII")
        precondition(line.allSatisfy { !$0.isWhitespace }, "more than one word")
    }
}
