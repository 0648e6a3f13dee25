/// Checks UTF-8 that arrives in pieces (RFC 3629), for text messages and close reasons (RFC 6455 §8.1).
///
/// Fails at the first byte that no valid text can contain there, also in the middle of a character.
public struct UTF8Validator: Sendable {
    /// Continuation bytes that the current character still lacks, 0...3.
    private var needed = 0
    /// The values that the next continuation byte may have. Narrower than 80...BF only behind E0, ED, F0 and F4, which
    /// excludes overlong forms, surrogates, and what is above U+10FFFF.
    private var allowed: ClosedRange<UInt8> = 0x80...0xBF
    private var isValid = true

    public init() {}

    /// Whether the bytes so far are valid and end with a whole character.
    public var isComplete: Bool { isValid && needed == 0 }

    /// Takes the next piece. Once `false`, always `false` until `reset()`.
    public mutating func validate(_ bytes: Span<UInt8>) -> Bool {
        guard isValid else { return false }
        let raw = bytes.bytes
        var index = 0
        while index < bytes.count {
            if needed == 0 {
                // Eight ASCII bytes at a time: most text is little else.
                while index + 8 <= bytes.count,
                    raw.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
                {
                    index += 8
                }
                guard index < bytes.count else { break }
                isValid = begin(bytes[index])
            } else {
                isValid = allowed.contains(bytes[index])
                needed -= 1
                allowed = 0x80...0xBF
            }
            guard isValid else { return false }
            index += 1
        }
        return true
    }

    /// Forgets everything, for the next message.
    public mutating func reset() { self = UTF8Validator() }

    /// The first byte of a character, by RFC 3629 §4.
    private mutating func begin(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x00...0x7F: return true
        case 0xC2...0xDF: needed = 1
        case 0xE0: (needed, allowed) = (2, 0xA0...0xBF)
        case 0xED: (needed, allowed) = (2, 0x80...0x9F)
        case 0xE1...0xEF: needed = 2
        case 0xF0: (needed, allowed) = (3, 0x90...0xBF)
        case 0xF1...0xF3: needed = 3
        case 0xF4: (needed, allowed) = (3, 0x80...0x8F)
        default: return false
        }
        return true
    }
}
