/// The static Huffman code of HPACK (RFC 7541 §5.2, Appendix B).
///
/// The code is canonical: codes of one length follow one another in the order of their symbols, and shorter ones come
/// first. So the lengths are all that has to be written down.
enum HPACKHuffman {
    /// The longest code is that of EOS, which must not be sent.
    static let maxLength = 30
    private static let endOfString = 256

    /// Bits in the code of each byte, and of EOS (Appendix B).
    private static let lengths: [UInt8] = [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,  // 0x00
        28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,  // 0x10
        6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,  // 0x20
        5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,  // 0x30
        13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,  // 0x40
        7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,  // 0x50
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,  // 0x60
        6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,  // 0x70
        20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,  // 0x80
        24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,  // 0x90
        22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,  // 0xA0
        21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,  // 0xB0
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,  // 0xC0
        19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,  // 0xD0
        20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,  // 0xE0
        26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,  // 0xF0
        30,
    ]

    private static let tables = Tables(lengths)
    /// For each byte its code, and in the upper half the length of that.
    private static let codes = tables.codes
    /// For each twelve bits the one or two symbols whose codes they begin with: the symbols in the lowest bytes, above them the
    /// bits of the first, the bits of both, and how many they are. 0 where the first code is longer.
    private static let pairs = tables.pairs

    /// Bytes that `text` takes in this code, its padding included.
    static func encodedCount(_ text: Span<UInt8>) -> Int {
        let codes = codes.span
        var bits = 0
        for i in 0..<text.count { bits += Int(codes[Int(text[i])] >> 32) }
        return (bits + 7) >> 3
    }

    /// Appends `text` in this code, padded with the first bits of EOS.
    static func encode(_ text: Span<UInt8>, into out: inout ByteBuffer) {
        encode(text, count: encodedCount(text), into: &out)
    }

    /// - Parameter count: what `encodedCount` says.
    static func encode(_ text: Span<UInt8>, count: Int, into out: inout ByteBuffer) {
        _ = out.append(atMost: count) { room in
            let codes = codes.span
            var written = 0
            var pending: UInt64 = 0
            var bits = 0
            for i in 0..<text.count {
                let entry = codes[Int(text[i])]
                let length = Int(truncatingIfNeeded: entry &>> 32)
                // At most 31 bits are left from before, so 61 at most.
                pending = pending &<< UInt64(truncatingIfNeeded: length) | entry & 0xFFFF_FFFF
                bits &+= length
                if bits >= 32 {
                    bits &-= 32
                    let word = UInt32(truncatingIfNeeded: pending &>> UInt64(truncatingIfNeeded: bits))
                    room.storeBytes(of: word.bigEndian, toByteOffset: written, as: UInt32.self)
                    written += 4
                }
            }
            let padding = (8 - bits & 7) & 7
            pending = pending << UInt64(padding) | (1 << UInt64(padding) - 1)
            bits += padding
            while bits > 0 {
                bits -= 8
                room[written] = UInt8(truncatingIfNeeded: pending >> UInt64(bits))
                written += 1
            }
            return written
        }
    }

    /// Appends the text that `code` stands for.
    ///
    /// - Returns: false for a code of EOS, padding of more than 7 bits, and padding that is not the first bits of EOS
    ///   (§5.2). What was appended then is of no meaning.
    static func decode(_ code: Span<UInt8>, into out: inout ByteBuffer) -> Bool {
        var isValid = false
        // The shortest code has five bits; and two symbols are written at once.
        _ = out.append(atMost: code.count * 8 / 5 + 1) { room in
            let written = decode(code, to: room)
            isValid = written != nil
            return written ?? 0
        }
        return isValid
    }

    private static func decode(_ code: Span<UInt8>, to room: UnsafeMutableRawBufferPointer) -> Int? {
        let pairs = pairs.span
        guard let start = room.baseAddress else { return 0 }
        var out = start
        var next = 0
        // The bits that were read and not yet used, from the highest down. Behind `count` of them come those of bytes that are
        // read once more, and behind the end zeros.
        var bits: UInt64 = 0
        var count = 0
        while true {
            if code.count - next >= 8 {
                // SAFETY: eight bytes are left.
                let word = code.bytes.unsafeLoadUnaligned(fromByteOffset: next, as: UInt64.self).bigEndian
                bits |= word &>> UInt64(truncatingIfNeeded: count)
                next &+= (63 &- count) &>> 3
                count |= 56
            } else {
                while count <= 56, next < code.count {
                    bits |= UInt64(code[next]) &<< UInt64(truncatingIfNeeded: 56 &- count)
                    count &+= 8
                    next &+= 1
                }
            }
            // SAFETY of the stores: `room` has a byte for each five bits of the code, no code is shorter, and one byte more.
            while true {
                let entry = pairs[Int(truncatingIfNeeded: bits &>> UInt64(64 - Tables.pairBits))]
                let both = Int(truncatingIfNeeded: entry &>> 24 & 31)
                guard entry != 0, both <= count else { break }
                out.storeBytes(of: UInt16(truncatingIfNeeded: entry).littleEndian, as: UInt16.self)
                out += Int(truncatingIfNeeded: entry &>> 29)
                bits &<<= UInt64(truncatingIfNeeded: both)
                count &-= both
            }
            if count < maxLength, next < code.count { continue }
            // Near the end, or a long one. A code that the zeros behind the end took part in is none: the rest is padding.
            let entry = pairs[Int(truncatingIfNeeded: bits &>> UInt64(64 - Tables.pairBits))]
            var (symbol, length) = (Int(entry & 0xFF), Int(entry >> 16 & 15))
            if entry == 0 { (symbol, length) = tables.long(UInt32(truncatingIfNeeded: bits &>> 34)) }
            guard length <= count else { break }
            guard symbol != endOfString else { return nil }
            out.storeBytes(of: UInt8(truncatingIfNeeded: symbol), as: UInt8.self)
            out += 1
            bits &<<= UInt64(truncatingIfNeeded: length)
            count &-= length
        }
        guard count < 8, bits == ~(UInt64.max >> UInt64(count)) else { return nil }
        return out - start
    }

    private struct Tables: Sendable {
        /// Codes up to this long are looked up at once; all printable ASCII that is frequent has one.
        static let pairBits = 12

        /// See `HPACKHuffman`.
        var codes: [UInt64]
        var pairs: [UInt32]
        /// All symbols in the order of their codes.
        private var symbols: [UInt16] = []
        /// For each length: the end of its codes as numbers of 30 bits, so that a code is below exactly its own and longer ones.
        private var ends = [UInt32](repeating: 0, count: maxLength + 1)
        /// For each length: its first code in as many bits, and where its symbols begin.
        private var firsts = [UInt32](repeating: 0, count: maxLength + 1)
        private var offsets = [Int](repeating: 0, count: maxLength + 1)

        init(_ lengths: [UInt8]) {
            codes = [UInt64](repeating: 0, count: lengths.count)
            pairs = [UInt32](repeating: 0, count: 1 << Self.pairBits)
            var code: UInt32 = 0
            for length in 1...maxLength {
                code <<= 1
                firsts[length] = code
                offsets[length] = symbols.count
                for symbol in lengths.indices where Int(lengths[symbol]) == length {
                    codes[symbol] = UInt64(length) << 32 | UInt64(code)
                    symbols.append(UInt16(symbol))
                    let spare = Self.pairBits - length
                    if spare >= 0 {
                        let start = Int(code) << spare
                        let entry = UInt32(symbol) | UInt32(length) << 16 | UInt32(length) << 24 | 1 << 29
                        for i in start..<start + 1 << spare { pairs[i] = entry }
                    }
                    code += 1
                }
                ends[length] = code << UInt32(maxLength - length)
            }
            // What is behind the first code, where that is whole, is a second one.
            let singles = pairs
            for i in singles.indices where singles[i] != 0 {
                let length = Int(singles[i] >> 24 & 31)
                let second = singles[i << length & (1 << Self.pairBits - 1)]
                let both = length + Int(second >> 24 & 31)
                guard second != 0, both <= Self.pairBits else { continue }
                pairs[i] = singles[i] & 0xFF_00FF | (second & 0xFF) << 8 | UInt32(both) << 24 | 2 << 29
            }
        }

        /// The symbol of a code too long for `pairs`, by the 30 bits that it begins.
        func long(_ bits: UInt32) -> (symbol: Int, length: Int) {
            var length = Self.pairBits + 1
            // The code is complete: the last end is above every number of 30 bits.
            while length < maxLength, bits >= ends[length] { length += 1 }
            let index = Int(bits >> UInt32(maxLength - length) &- firsts[length])
            return (Int(symbols[offsets[length] + index]), length)
        }
    }
}
