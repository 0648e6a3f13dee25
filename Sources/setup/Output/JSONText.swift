import FoundationEssentials

/// Results as JSON: names in snake case and in the order of the alphabet, on several lines.
enum JSONText {
    static func of(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        // Nothing that setup encodes can fail: no floating-point number, no key that is not a string.
        guard let data = try? encoder.encode(value) else { return "{}" }
        // What the encoder leaves as it is, and a terminal may act on.
        return String(decoding: data, as: UTF8.self).withoutControls { scalar in
            String(scalar).utf16.map { unit in
                let digits = String(unit, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }.joined()
        }
    }
}
