import Testing

@testable import TunnelCore

/// Shorthand of the HPACK tests.
enum HPACKSamples {
    struct Pair: Equatable, CustomStringConvertible {
        var name: String
        var value: String

        init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }

        var description: String { "\(name): \(value)" }
    }

    /// Bytes in hexadecimal, spaces between them as anybody likes.
    static func hex(_ text: String) -> [UInt8] {
        let digits = text.compactMap { $0.hexDigitValue }
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    static func pairs(_ list: borrowing HPACKFieldList) -> [Pair] {
        let bytes = list.bytes.array
        return list.fields.map {
            Pair(String(decoding: bytes[$0.name], as: UTF8.self), String(decoding: bytes[$0.value], as: UTF8.self))
        }
    }

    static func decode(_ block: [UInt8], _ decoder: inout HPACKDecoder) throws(HPACKError) -> [Pair] {
        var list = HPACKFieldList()
        // A copy of exactly these bytes, so that a sanitizer sees who reads past them.
        let copy = Array(block)
        try decoder.decode(copy.span, into: &list)
        return pairs(list)
    }

    static func encode(_ pairs: [Pair], _ indexing: HPACKIndexing, _ encoder: inout HPACKEncoder) -> [UInt8] {
        var out = ByteBuffer()
        encoder.begin(into: &out)
        for pair in pairs {
            encoder.encode(
                name: Array(pair.name.utf8).span, value: Array(pair.value.utf8).span, indexing: indexing, into: &out)
        }
        return out.array
    }
}
