/// One element of a `Sec-WebSocket-Extensions` field: a name and its parameters (RFC 6455 §9.1).
public struct WebSocketExtension: Equatable, Sendable, CustomStringConvertible {
    public struct Parameter: Equatable, Sendable {
        /// In lower case: the names of the RFCs compare without regard to case.
        public var name: String
        /// Without the quotes it may have had; `nil` when there was no `=`.
        public var value: String?

        public init(_ name: String, _ value: String? = nil) {
            self.name = name
            self.value = value
        }
    }

    /// Bytes that all values of the field together may have.
    public static let maxListBytes = 8192
    /// Extensions that the field may list. Browsers send one or two.
    public static let maxExtensions = 32
    /// Parameters that one extension may have, repeated ones included.
    public static let maxParameters = 32

    /// In lower case.
    public var name: String
    public var parameters: [Parameter]

    public init(_ name: String, _ parameters: [Parameter] = []) {
        self.name = name
        self.parameters = parameters
    }

    /// The element as it stands in the field. Values that come from `parse` are tokens and need no quotes.
    public var description: String {
        parameters.reduce(into: name) { text, parameter in
            text += "; \(parameter.name)"
            if let value = parameter.value { text += "=\(value)" }
        }
    }

    /// Parses the values of all fields of that name, in their order, as one list.
    ///
    /// - Returns: the extensions in order; empty only when there was no field.
    /// - Throws: 1002 for anything that the grammar does not allow. The handshake then fails (§9.1).
    public static func parse(_ values: [String]) throws(WebSocketError) -> [WebSocketExtension] {
        guard values.reduce(0, { $0 + $1.utf8.count }) <= maxListBytes else {
            throw .protocolError("extension list over \(maxListBytes) bytes")
        }
        var found: [WebSocketExtension] = []
        for value in values {
            var parser = ExtensionParser(value)
            while let next = try parser.next() {
                guard found.count < maxExtensions else { throw .protocolError("over \(maxExtensions) extensions") }
                found.append(next)
            }
        }
        guard values.isEmpty || !found.isEmpty else { throw .protocolError("empty extension list (§9.1)") }
        return found
    }
}

/// Reads one field value from left to right.
private struct ExtensionParser {
    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    /// The next element, or `nil` at the end of the value.
    mutating func next() throws(WebSocketError) -> WebSocketExtension? {
        // RFC 6455 takes its list rule from RFC 2616 §2.1, which allows empty elements.
        repeat { skipSpace() } while take(",")
        guard position < bytes.count else { return nil }
        var element = WebSocketExtension(try token())
        skipSpace()
        while take(";") {
            guard element.parameters.count < WebSocketExtension.maxParameters else {
                throw .protocolError("over \(WebSocketExtension.maxParameters) extension parameters")
            }
            skipSpace()
            var parameter = WebSocketExtension.Parameter(try token())
            skipSpace()
            if take("=") {
                skipSpace()
                parameter.value = try take("\"") ? quoted() : token(lowercased: false)
                skipSpace()
            }
            element.parameters.append(parameter)
        }
        guard position == bytes.count || bytes[position] == UInt8(ascii: ",") else {
            throw .protocolError("malformed extension list (§9.1)")
        }
        return element
    }

    private mutating func skipSpace() {
        while position < bytes.count, bytes[position] == 0x20 || bytes[position] == 0x09 { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func token(lowercased: Bool = true) throws(WebSocketError) -> String {
        let start = position
        while position < bytes.count, HTTPToken.isToken(bytes[position]) { position += 1 }
        guard position > start else { throw .protocolError("malformed extension list (§9.1)") }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        return lowercased ? text.lowercased() : text
    }

    /// The rest of a quoted string. What it holds must be a token after unescaping (§9.1).
    private mutating func quoted() throws(WebSocketError) -> String {
        var content: [UInt8] = []
        while position < bytes.count {
            var byte = bytes[position]
            position += 1
            if byte == UInt8(ascii: "\""), !content.isEmpty { return String(decoding: content, as: UTF8.self) }
            if byte == UInt8(ascii: "\\"), position < bytes.count {
                byte = bytes[position]
                position += 1
            }
            guard HTTPToken.isToken(byte) else { break }
            content.append(byte)
        }
        throw .protocolError("malformed quoted value (§9.1)")
    }
}

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
