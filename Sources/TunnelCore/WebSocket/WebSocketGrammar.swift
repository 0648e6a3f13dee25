/// Lists in the fields of the opening handshake, as texts (RFC 9110 §5.6.1).
enum WebSocketGrammar {
    /// The elements of a comma-separated list over all `values`, without the white space around them. Empty elements
    /// are dropped (RFC 9110 §5.6.1.2).
    static func list(_ values: [String]) -> [String] {
        values.flatMap { value in
            value.utf8.split(separator: UInt8(ascii: ",")).compactMap { element -> String? in
                let text = trim(element)
                return text.isEmpty ? nil : text
            }
        }
    }

    /// The text without spaces and tabs at its ends.
    static func trim(_ text: some BidirectionalCollection<UInt8>) -> String {
        let isSpace = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
        guard let first = text.firstIndex(where: { !isSpace($0) }), let last = text.lastIndex(where: { !isSpace($0) })
        else { return "" }
        return String(decoding: text[first...last], as: UTF8.self)
    }

    /// Whether the list holds `token`, compared without regard to the case of ASCII letters.
    static func contains(_ values: [String], token: String) -> Bool {
        list(values).contains { $0.lowercased() == token }
    }
}
