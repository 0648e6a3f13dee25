internal import Glibc

/// One entry of a table: where its line is, and what is known about it.
struct HPACKEntry: Sendable {
    /// Where the line `name: value CRLF` begins, counted from the first byte that the table ever held.
    var offset: UInt32
    var nameCount: UInt32
    var valueCount: UInt32
    var id: FieldName
    var traits: FieldTraits

    /// Bytes of the line.
    var lineCount: Int { Int(nameCount) + Int(valueCount) + 4 }
    /// What the entry counts for (RFC 7541 §4.1).
    var cost: Int { Int(nameCount) + Int(valueCount) + HPACK.entryOverhead }
}

/// What the RFC fixes.
enum HPACK {
    /// RFC 7541 §4.1.
    static let entryOverhead = 32
    /// Indices of the static table are 1...61.
    static let staticCount = 61
    static let contentLengthIndex = 28
}

/// The dynamic table (RFC 7541 §2.3.2): fields in the order they were added, the oldest of which go.
///
/// Lines are kept as an HTTP/1 head has them, one behind another, so that a field which an index repeats is one copy. The memory
/// is taken with the first entry, and is bound by the size in the RFC's count, whose 32 bytes for each entry are more than ours.
struct HPACKTable: ~Copyable, Sendable {
    private var lines = ByteBuffer()
    /// A ring, as long as a power of two that holds all entries there can be.
    private var ring: [HPACKEntry] = []
    /// How many entries were ever added, and how many of them are here. Both are all the numbering there is.
    private(set) var added: UInt32 = 0
    private(set) var count = 0
    /// The offset of the first byte in `lines`.
    private var base: UInt32 = 0
    /// In the RFC's count.
    private(set) var size = 0
    private(set) var maxSize: Int

    init(maxSize: Int) { self.maxSize = maxSize }

    /// Entry `index`, of which 0 is the newest; it must be below `count`.
    func entry(_ index: Int) -> HPACKEntry {
        ring[Int(added &- 1 &- UInt32(truncatingIfNeeded: index)) & (ring.count - 1)]
    }

    /// The entry that was added as number `number`, if it is still here.
    func index(ofNumber number: UInt32) -> Int? {
        let age = Int(added &- 1 &- number)
        return age < count ? age : nil
    }

    /// Appends the first bytes of an entry's line.
    func append(_ count: Int, of entry: HPACKEntry, to out: inout ByteBuffer) {
        out.append(count, of: lines, at: Int(entry.offset &- base))
    }

    /// Reads the line of an entry.
    func withLine<R>(_ entry: HPACKEntry, _ body: (Span<UInt8>) -> R) -> R {
        let start = Int(entry.offset &- base)
        return lines.withBytes { body($0.extracting(start..<start + entry.lineCount)) }
    }

    /// Changes the bound; entries go until the table keeps to it (§4.3).
    mutating func setMaxSize(_ size: Int) {
        maxSize = size
        evict(downTo: size)
    }

    /// Adds a line (§4.4). One that is larger than the table leaves it empty.
    mutating func add(_ line: Span<UInt8>, _ entry: HPACKEntry) {
        guard entry.cost <= maxSize else { return evict(downTo: 0) }
        evict(downTo: maxSize - entry.cost)
        if count == ring.count { growRing() }
        var entry = entry
        entry.offset = base &+ UInt32(truncatingIfNeeded: lines.count)
        lines.append(line)
        ring[Int(added) & (ring.count - 1)] = entry
        added &+= 1
        count += 1
        size += entry.cost
    }

    private mutating func evict(downTo size: Int) {
        while self.size > size {
            let oldest = entry(count - 1)
            lines.consume(oldest.lineCount)
            base &+= UInt32(truncatingIfNeeded: oldest.lineCount)
            self.size -= oldest.cost
            count -= 1
        }
    }

    private mutating func growRing() {
        let empty = HPACKEntry(offset: 0, nameCount: 0, valueCount: 0, id: .other, traits: [])
        var larger = [HPACKEntry](repeating: empty, count: max(16, ring.count * 2))
        for age in 0..<count {
            larger[Int(added &- 1 &- UInt32(truncatingIfNeeded: age)) & (larger.count - 1)] = entry(age)
        }
        ring = larger
    }
}

/// The static table (RFC 7541 Appendix A), in the same form as the other.
struct HPACKStaticTable: Sendable {
    static let shared = HPACKStaticTable()

    private var lines: [UInt8] = []
    private var entries: [HPACKEntry] = []
    /// By the hash of a name the first index that has it, or 0. Of 52 names in 256 places few collide, and those take the next.
    private var places = [UInt8](repeating: 0, count: 256)

    private init() {
        for (index, (name, value)) in Self.fields.enumerated() {
            let start = lines.count
            lines += name.utf8
            lines += ": ".utf8
            lines += value.utf8
            lines += "\r\n".utf8
            let names = start..<start + name.utf8.count
            entries.append(
                HPACKEntry(
                    offset: UInt32(start), nameCount: UInt32(name.utf8.count), valueCount: UInt32(value.utf8.count),
                    id: FieldName(names, in: lines.span), traits: FieldTraits(name: names, in: lines.span)))
            guard index == 0 || Self.fields[index - 1].name != name else { continue }
            var place = HPACKHash(Array(name.utf8).span).place
            while places[place] != 0 { place = (place + 1) & 0xFF }
            places[place] = UInt8(index + 1)
        }
    }

    /// Entry `index`, 1...61.
    func entry(_ index: Int) -> HPACKEntry { entries[index - 1] }

    /// Appends the line of an entry, or its first `count` bytes.
    func append(_ entry: HPACKEntry, count: Int, to out: inout ByteBuffer) {
        out.append(lines.span.extracting(Int(entry.offset)..<Int(entry.offset) + count))
    }

    /// The first index with that name, which is in small letters, and 0 if there is none; and an index with that value too.
    func find(_ name: Span<UInt8>, hash: HPACKHash, value: Span<UInt8>) -> (name: Int, field: Int) {
        var place = hash.place
        while true {
            let first = Int(places[place])
            if first == 0 { return (0, 0) }
            if isName(name, of: entries[first - 1]) {
                var index = first
                repeat {
                    if isValue(value, of: entries[index - 1]) { return (first, index) }
                    index += 1
                } while index <= entries.count && isName(name, of: entries[index - 1])
                return (first, 0)
            }
            place = (place + 1) & 0xFF
        }
    }

    private func isName(_ name: Span<UInt8>, of entry: HPACKEntry) -> Bool {
        name.isEqual(to: lines.span, at: Int(entry.offset), count: Int(entry.nameCount))
    }

    private func isValue(_ value: Span<UInt8>, of entry: HPACKEntry) -> Bool {
        value.isEqual(to: lines.span, at: Int(entry.offset) + Int(entry.nameCount) + 2, count: Int(entry.valueCount))
    }

    private static let fields: [(name: String, value: String)] = [
        (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
        (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
        (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
        ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
        ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
        ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
        ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""),
        ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""),
        ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""),
        ("last-modified", ""), ("link", ""), ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""),
        ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""), ("retry-after", ""),
        ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""), ("transfer-encoding", ""),
        ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
    ]
}

/// A quick hash for finding what was sent before. Whoever provokes collisions loses compression, nothing else.
struct HPACKHash: Sendable {
    private var state: UInt64

    /// Places in a table of hashes.
    static let places = 256
    var place: Int { Int(truncatingIfNeeded: state >> 32) & (Self.places - 1) }

    init() { state = 0x9E37_79B9_7F4A_7C15 }

    init(_ bytes: Span<UInt8>) {
        self.init()
        append(bytes)
    }

    /// Takes in more bytes, and how many they are.
    @inline(__always)
    mutating func append(_ bytes: Span<UInt8>, ignoringCase: Bool = false) {
        func folded(_ word: UInt64) -> UInt64 { ignoringCase ? ByteWord.small(word) : word }
        let count = bytes.count
        mix(UInt64(truncatingIfNeeded: count))
        let raw = bytes.bytes
        var i = 0
        // Words, the last of which may overlap the one before.
        while count - i >= 8 {
            mix(folded(raw.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)))
            i += 8
        }
        guard i < count else { return }
        if count >= 8 {
            mix(folded(raw.unsafeLoadUnaligned(fromByteOffset: count - 8, as: UInt64.self)))
        } else {
            var first: UInt64 = 0
            var rest: UInt64 = 0
            if count >= 4 {
                first = UInt64(raw.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt32.self)) &<< 32
                i = 4
            }
            while i < count {
                rest = rest &<< 8 | UInt64(raw.unsafeLoad(fromByteOffset: i, as: UInt8.self))
                i += 1
            }
            mix(folded(first | rest))
        }
    }

    @inline(__always)
    private mutating func mix(_ word: UInt64) {
        state = (state ^ word) &* 0xD6E8_FEB8_6659_FD93
        state ^= state >> 32
    }
}

extension Span<UInt8> {
    /// All of it is the `count` bytes of `other` at `start`.
    func isEqual(to other: Span<UInt8>, at start: Int, count: Int) -> Bool {
        guard self.count == count else { return false }
        precondition(start >= 0 && count <= other.count - start)
        return withUnsafeBytes { mine in
            other.withUnsafeBytes { other in
                // SAFETY: both hold `count` bytes, as was just checked; of none there may be no address.
                guard count > 0, let mine = mine.baseAddress, let other = other.baseAddress else { return true }
                return memcmp(mine, other + start, count) == 0
            }
        }
    }
}
