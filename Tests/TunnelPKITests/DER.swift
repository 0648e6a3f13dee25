/// The little DER (X.690) for what the product never writes: built from the inside out, nothing is ever patched.
enum DER {
    static func sequence(_ parts: [UInt8]...) -> [UInt8] { element(0x30, Array(parts.joined())) }
    /// A context-specific, primitive tag.
    static func contextual(_ tag: UInt8, _ bytes: [UInt8]) -> [UInt8] { element(0x80 | tag, bytes) }

    /// A small number, 0...127.
    static func integer(_ value: UInt8) -> [UInt8] { element(0x02, [value & 0x7F]) }

    /// An object identifier from its numbers; the first two share a byte (X.690 §8.19.4).
    static func objectIdentifier(_ numbers: [UInt64]) -> [UInt8] {
        guard numbers.count >= 2 else { return element(0x06, []) }
        var contents: [UInt8] = []
        for number in [numbers[0] * 40 + numbers[1]] + numbers[2...] {
            var groups = [UInt8(number & 0x7F)]
            var rest = number >> 7
            while rest > 0 {
                groups.append(UInt8(rest & 0x7F) | 0x80)
                rest >>= 7
            }
            contents.append(contentsOf: groups.reversed())
        }
        return element(0x06, contents)
    }

    static func element(_ tag: UInt8, _ contents: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        if contents.count < 0x80 {
            length = [UInt8(contents.count)]
        } else {
            var rest = contents.count
            while rest > 0 {
                length.insert(UInt8(truncatingIfNeeded: rest), at: 0)
                rest >>= 8
            }
            length.insert(0x80 | UInt8(length.count), at: 0)
        }
        return [tag] + length + contents
    }
}
