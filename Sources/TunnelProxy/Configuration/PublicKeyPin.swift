/// The SHA-256 of a server's public key, as curl and OpenSSL's users write it: `sha256//` and base64.
struct PublicKeyPin: Hashable, Sendable {
    let text: String

    /// - Returns: `nil` for what no key can have.
    init?(_ text: String) {
        let digits = text.utf8.dropFirst(8)
        guard text.hasPrefix("sha256//"), digits.count == 44, digits.last == UInt8(ascii: "=") else { return nil }
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        let places = digits.dropLast().compactMap { alphabet.firstIndex(of: $0) }
        // 32 bytes leave two bits of the last digit unused.
        guard places.count == 43, (places.last ?? 1) % 4 == 0 else { return nil }
        self.text = text
    }
}
