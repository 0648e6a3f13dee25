import Testing

@testable import TunnelCore

private typealias Pair = HPACKSamples.Pair

@Suite struct HPACKDecoderTests {
    static let malformed: [(block: String, code: HPACKError.Code)] = [
        ("80", .index),  // index 0, §6.1
        ("be", .index),  // an empty dynamic table, §2.3.3
        ("ff 00", .index),  // 127
        ("7e 00", .index),  // a name of the dynamic table
        ("0f 2f 00", .index),
        ("00", .truncated), ("00 01", .truncated), ("00 01 61", .truncated), ("00 01 61 01", .truncated),
        ("40 83 ff", .truncated), ("7f", .truncated), ("7f 80", .truncated), ("3f", .truncated),
        ("ff 80 80 80 80 00", .integer), ("ff ff ff ff ff 0f", .integer), ("00 7f ff ff ff ff 7f", .integer),
        ("3f e2 1f", .tableSize),  // 4,097, §6.3
        ("82 20", .tableSize),  // behind a field, §4.2
        ("00 81 ff 00", .huffman),  // eight bits of padding, §5.2
        ("00 82 1f ff 00", .huffman),
        ("00 81 18 00", .huffman),  // "a" and padding of zeros
        ("00 84 ff ff ff ff 00", .huffman),  // EOS
        ("00 84 ff ff ff fc 00", .huffman),
    ]

    @Test(arguments: malformed) func refuses(_ row: (block: String, code: HPACKError.Code)) {
        var decoder = HPACKDecoder()
        var found: HPACKError.Code?
        do throws(HPACKError) { _ = try HPACKSamples.decode(HPACKSamples.hex(row.block), &decoder) } catch {
            found = error.code
        }
        #expect(found == row.code, "\(row.block)")
    }

    /// The largest integer that is taken has 28 bits behind the prefix; here it is an index that nothing has.
    @Test func boundsIntegers() {
        var decoder = HPACKDecoder()
        #expect(throws: HPACKError.index) { try decoder.decodeHex("ff ff ff ff 7f") }
        #expect(throws: HPACKError.integer) { try decoder.decodeHex("ff ff ff ff ff 00") }
    }

    /// Each prefix of a block that ends between two fields has the first fields; every other one is cut short.
    @Test func anyPrefixIsShortOrWhole() throws {
        let block = HPACKSamples.hex(
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff40 8825 a849 e95b a97d 7f89 25a8 49e9 5bb8 e8b4 bf")
        var whole = HPACKDecoder()
        let all = try HPACKSamples.decode(block, &whole)
        let ends = [0, 1, 2, 3, 17, block.count]
        for end in 0...block.count {
            var decoder = HPACKDecoder()
            do throws(HPACKError) {
                let fields = try HPACKSamples.decode(Array(block[..<end]), &decoder)
                #expect(fields == Array(all[..<(ends.firstIndex(of: end) ?? -1)]), "\(end)")
            } catch {
                #expect(error.code == .truncated && !ends.contains(end), "\(end)")
            }
        }
    }

    @Test func evictsTheOldest() throws {
        var decoder = HPACKDecoder()
        // A table of 70 bytes holds two fields of 34, the third of which drives out the first.
        _ = try HPACKSamples.decode(HPACKSamples.hex("3f 27  40 01 61 01 31  40 01 62 01 32"), &decoder)
        #expect(decoder.tableSize == 68)
        #expect(try HPACKSamples.decode([0xBE, 0xBF], &decoder) == [Pair("b", "2"), Pair("a", "1")])
        // The name is taken from the entry that goes (§4.4).
        #expect(
            try HPACKSamples.decode(HPACKSamples.hex("7f 00 01 33 be bf"), &decoder)
                == [Pair("a", "3"), Pair("a", "3"), Pair("b", "2")])
        #expect(throws: HPACKError.index) { try decoder.decodeHex("c0") }
    }

    @Test func anEntryLargerThanTheTableEmptiesIt() throws {
        var decoder = HPACKDecoder()
        _ = try HPACKSamples.decode(HPACKSamples.hex("3f 03  40 01 61 01 31"), &decoder)
        #expect(decoder.tableSize == 34)
        #expect(try HPACKSamples.decode(HPACKSamples.hex("40 01 61 02 31 32"), &decoder) == [Pair("a", "12")])
        #expect(decoder.tableSize == 0)
    }

    /// §4.2: after a lower limit was acknowledged, the next block begins with a table size.
    @Test func asksForTheTableSize() throws {
        var decoder = HPACKDecoder()
        decoder.setTableLimit(8_192)
        _ = try HPACKSamples.decode(HPACKSamples.hex("3f e1 3f 82"), &decoder)
        decoder.setTableLimit(100)
        var other = HPACKDecoder()
        other.setTableLimit(100)
        #expect(throws: HPACKError.noTableSize) { try other.decodeHex("82") }
        #expect(throws: HPACKError.noTableSize) { try other.decodeHex("") }
        #expect(throws: HPACKError.tableTooLarge) { try other.decodeHex("3f 46") }
        // Twice is well formed: the smallest, then the last (§4.2).
        #expect(try HPACKSamples.decode(HPACKSamples.hex("20 3f 45 82"), &decoder) == [Pair(":method", "GET")])
    }

    static let limits = HPACKLimits(maxFields: 3, maxListSize: 200, maxTableSize: 4_096)

    @Test func countsFields() throws {
        var decoder = HPACKDecoder(limits: Self.limits)
        var list = HPACKFieldList()
        try decoder.decode([0x82, 0x82, 0x82].span, into: &list)
        #expect(list.fields.count == 3 && !list.isTooLarge)
        try decoder.decode([0x82, 0x82, 0x82, 0x82].span, into: &list)
        #expect(list.fields.isEmpty && list.bytes.isEmpty && list.isTooLarge)
    }

    /// :method GET counts 42, so four are 168; a field of 32 makes 200 and one of 33 makes 201.
    @Test func sumsNamesAndValues() throws {
        var decoder = HPACKDecoder(limits: HPACKLimits(maxFields: 100, maxListSize: 200, maxTableSize: 4_096))
        var list = HPACKFieldList()
        try decoder.decode(HPACKSamples.hex("82 82 82 82 00 00 00").span, into: &list)
        #expect(list.fields.count == 5 && !list.isTooLarge)
        try decoder.decode(HPACKSamples.hex("82 82 82 82 00 00 01 61").span, into: &list)
        #expect(list.fields.isEmpty && list.isTooLarge)
    }

    /// What is too large is decoded to its end, for later blocks depend on it; four times too large is the end.
    @Test func staysInStepBeyondTheLimit() throws {
        var decoder = HPACKDecoder(limits: Self.limits)
        let add = HPACKSamples.hex("40 01 61 01 31")
        #expect(try HPACKSamples.decode([0x82, 0x82, 0x82] + add, &decoder) == [])
        #expect(try HPACKSamples.decode([0xBE], &decoder) == [Pair("a", "1")])
        #expect(try HPACKSamples.decode([UInt8](repeating: 0x82, count: 12), &decoder) == [])
        #expect(throws: HPACKError.excessive) {
            try HPACKSamples.decode([UInt8](repeating: 0x82, count: 13), &decoder)
        }
    }

    /// The "HTTP/2 bomb": one byte each for a field of 4,000. No more than the limit is ever held.
    @Test func aBombStaysSmall() throws {
        var decoder = HPACKDecoder()
        var list = HPACKFieldList()
        var value = ByteBuffer()
        value.appendHPACK(integer: 3_900, bits: 7, flags: 0)
        try decoder.decode(
            ([0x40, 0x01, 0x61] + value.array + [UInt8](repeating: 0x78, count: 3_900)).span, into: &list)
        #expect(throws: HPACKError.excessive) {
            try decoder.decode([UInt8](repeating: 0xBE, count: 16_384).span, into: &list)
        }
        #expect(list.bytes.capacity < 3 * 65_536)
    }

    static let names: [(name: String, value: String, traits: UInt8)] = [
        ("accept", "a b\tc", 0), ("x-1_2.3~!#$%&'*+^`|", "", 0), (":path", "/", 0x41), (":", "", 1),
        ("Accept", "", 2), ("aB", "", 2), ("", "", 2), ("a b", "", 2), ("a:", "", 2), ("a\r\nb", "", 2), ("é", "", 2),
        ("a\0", "", 2), ("a(", "", 2), ("a", " b", 4), ("a", "b ", 4), ("a", "\tb", 4), ("a", "b\t", 4),
        ("a", "b\r", 4),
        ("a", "b\nc", 4), ("a", "b\0c", 4), ("a", "\u{7f}", 4), ("a", "\u{1}", 4), ("a", "é", 0), ("A", "\n", 6),
    ]

    /// What is not allowed is noticed once, and still known when the table repeats it.
    @Test(arguments: names) func noticesWhatIsNotAllowed(_ row: (name: String, value: String, traits: UInt8)) throws {
        for first: UInt8 in [0x40, 0x00] {
            var block = ByteBuffer()
            block.append(first)
            block.appendHPACK(string: Array(row.name.utf8).span)
            block.appendHPACK(string: Array(row.value.utf8).span)
            if first == 0x40 { block.append(0xBE) }
            var decoder = HPACKDecoder()
            var list = HPACKFieldList()
            try decoder.decode(block.array.span, into: &list)
            for field in list.fields { #expect(field.traits.rawValue == row.traits) }
        }
    }

    /// Lines are those of HTTP/1, and names are recognised however they come.
    @Test func writesLines() throws {
        var decoder = HPACKDecoder()
        var list = HPACKFieldList()
        try decoder.decode(HPACKSamples.hex("82 7a 01 61 be 40 02 7465 01 62").span, into: &list)
        #expect(
            String(decoding: list.bytes.array, as: UTF8.self)
                == ":method: GET\r\nuser-agent: a\r\nuser-agent: a\r\nte: b\r\n")
        #expect(list.fields.map(\.id) == [.other, .other, .other, .te])
        #expect(list.fields.map(\.line) == [0..<12, 14..<27, 29..<42, 44..<49])
    }
}

extension HPACKDecoder {
    fileprivate mutating func decodeHex(_ text: String) throws(HPACKError) {
        _ = try HPACKSamples.decode(HPACKSamples.hex(text), &self)
    }
}
