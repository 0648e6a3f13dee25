/// How a field is to be sent (RFC 7541 §6.2).
public enum HPACKIndexing: Sendable, Equatable {
    /// As its name suggests: what is secret is never indexed, what rarely repeats is not, all else is.
    case automatic
    /// Added to the table.
    case incremental
    /// Not added.
    case none
    /// Not added, by whoever passes it on neither (§7.1.3).
    case never
}

/// Encodes header blocks (RFC 7541), one for each connection and direction.
///
/// A block is `begin`, then `encode` for each field. What was sent before is found by two lossy tables of hashes: where two
/// texts share a place the older one is not found again, which costs bytes and is never wrong.
public struct HPACKEncoder: ~Copyable, Sendable {
    private static let places = 256

    private var table: HPACKTable
    /// The most that we use, whatever the peer would allow.
    private let sizeLimit: Int
    /// The smallest and the last of the sizes chosen since the last block; `nil` if none was.
    private var pendingSizes: (smallest: Int, last: Int)?
    /// By hash, the number of the entry that was added last; empty until there is one.
    private var fieldPlaces: [UInt32] = []
    private var namePlaces: [UInt32] = []
    /// The line under way, its name in small letters.
    private var line = ByteBuffer()

    /// - Parameter sizeLimit: the most bytes of table to use, in RFC 7541's count.
    public init(sizeLimit: Int = 4_096) {
        self.sizeLimit = sizeLimit
        table = HPACKTable(maxSize: 4_096)
        if sizeLimit < 4_096 { choose(sizeLimit) }
    }

    /// The dynamic table as it is now, in RFC 7541's count.
    public var tableSize: Int { table.size }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE. Takes effect, and is told, with the next block (§4.2).
    public mutating func setTableLimit(_ limit: Int) { choose(min(limit, sizeLimit)) }

    private mutating func choose(_ size: Int) {
        guard pendingSizes != nil || size != table.maxSize else { return }
        pendingSizes = (min(pendingSizes?.smallest ?? size, size), size)
    }

    /// Begins a block.
    public mutating func begin(into out: inout ByteBuffer) {
        guard let sizes = pendingSizes else { return }
        pendingSizes = nil
        if sizes.smallest < sizes.last { changeSize(sizes.smallest, into: &out) }
        changeSize(sizes.last, into: &out)
    }

    private mutating func changeSize(_ size: Int, into out: inout ByteBuffer) {
        table.setMaxSize(size)
        out.appendHPACK(integer: size, bits: 5, flags: 0x20)
    }

    /// Encodes one field. Capital letters in its name become small ones.
    public mutating func encode(
        name: Span<UInt8>, value: Span<UInt8>, indexing: HPACKIndexing = .automatic, into out: inout ByteBuffer
    ) {
        line.removeAll()
        line.reserve(name.count + value.count + 4)
        for i in 0..<name.count { line.append(name[i].asciiLowercase) }
        line.append(": ")
        line.append(value)
        line.append("\r\n")
        let id = line.withBytes { FieldName(0..<name.count, in: $0) }
        let nameHash = line.withBytes { HPACKHash.of($0.extracting(0..<name.count)) }
        let fixed = line.withBytes {
            HPACKStaticTable.shared.find($0.extracting(0..<name.count), hash: nameHash, value: value)
        }
        var entry = HPACKEntry(
            offset: 0, nameCount: UInt32(truncatingIfNeeded: name.count),
            valueCount: UInt32(truncatingIfNeeded: value.count), id: id, traits: [])
        let indexing = resolve(indexing, fixed.name, entry)
        if indexing != .never {
            if fixed.field > 0 { return out.appendHPACK(integer: fixed.field, bits: 7, flags: 0x80) }
            let lineHash = line.withBytes { HPACKHash.of($0) }
            if let age = findField(hash: lineHash) {
                return out.appendHPACK(integer: age + HPACK.staticCount + 1, bits: 7, flags: 0x80)
            }
            if indexing == .incremental {
                appendLiteral(entry, index: nameIndex(entry, fixed.name, nameHash), bits: 6, flags: 0x40, into: &out)
                entry.offset = 0
                line.withBytes { table.add($0, entry) }
                return remember(nameHash: nameHash, lineHash: lineHash)
            }
        }
        appendLiteral(
            entry, index: nameIndex(entry, fixed.name, nameHash), bits: 4, flags: indexing == .never ? 0x10 : 0,
            into: &out)
    }

    /// Encodes `:status`.
    public mutating func encode(status: UInt16, into out: inout ByteBuffer) {
        let digits: InlineArray<3, UInt8> = [
            UInt8(truncatingIfNeeded: 0x30 + status / 100 % 10), UInt8(truncatingIfNeeded: 0x30 + status / 10 % 10),
            UInt8(truncatingIfNeeded: 0x30 + status % 10),
        ]
        let name: InlineArray<7, UInt8> = [0x3A, 0x73, 0x74, 0x61, 0x74, 0x75, 0x73]
        encode(name: name.span, value: digits.span, into: &out)
    }

    private func resolve(_ indexing: HPACKIndexing, _ fixedName: Int, _ entry: HPACKEntry) -> HPACKIndexing {
        var indexing = indexing
        if indexing == .automatic {
            indexing =
                fixedName > 0
                ? HPACKPolicy.ofStatic(fixedName)
                : line.withBytes { HPACKPolicy.ofOther(0..<Int(entry.nameCount), in: $0) }
        }
        // A field that would drive out most of the others is not worth its place.
        if indexing == .incremental, entry.cost > table.maxSize * 3 / 4 { return .none }
        return indexing
    }

    private func findField(hash: UInt32) -> Int? {
        guard !fieldPlaces.isEmpty, let age = table.index(ofNumber: fieldPlaces[Int(hash) % Self.places]) else {
            return nil
        }
        let entry = table.entry(age)
        let isSame = line.withBytes { line in
            table.withLine(entry) { line.isEqual(to: $0, at: 0, count: $0.count) }
        }
        return isSame ? age : nil
    }

    /// An index of the name, 0 if there is none.
    private func nameIndex(_ entry: HPACKEntry, _ fixedName: Int, _ hash: UInt32) -> Int {
        guard fixedName == 0 else { return fixedName }
        guard !namePlaces.isEmpty, let age = table.index(ofNumber: namePlaces[Int(hash) % Self.places]) else {
            return 0
        }
        let found = table.entry(age)
        guard found.nameCount == entry.nameCount else { return 0 }
        let count = Int(entry.nameCount)
        let isSame = line.withBytes { line in
            table.withLine(found) { line.extracting(0..<count).isEqual(to: $0, at: 0, count: count) }
        }
        return isSame ? age + HPACK.staticCount + 1 : 0
    }

    private mutating func remember(nameHash: UInt32, lineHash: UInt32) {
        if fieldPlaces.isEmpty {
            // A number that no entry has until there were as many as can be counted; and then it would be compared.
            fieldPlaces = [UInt32](repeating: .max, count: Self.places)
            namePlaces = fieldPlaces
        }
        fieldPlaces[Int(lineHash) % Self.places] = table.added &- 1
        namePlaces[Int(nameHash) % Self.places] = table.added &- 1
    }

    private func appendLiteral(_ entry: HPACKEntry, index: Int, bits: UInt8, flags: UInt8, into out: inout ByteBuffer) {
        out.appendHPACK(integer: index, bits: bits, flags: flags)
        let nameCount = Int(entry.nameCount)
        line.withBytes { line in
            if index == 0 { out.appendHPACK(string: line.extracting(0..<nameCount)) }
            out.appendHPACK(string: line.extracting(nameCount + 2..<line.count - 2))
        }
    }
}

/// Which fields are worth a place in the table.
private enum HPACKPolicy {
    /// By the first index that the static table has for the name.
    static func ofStatic(_ index: Int) -> HPACKIndexing {
        switch index {
        // authorization, cookie, proxy-authorization, set-cookie: guesses could be tried against the table (§7.1).
        case 23, 32, 49, 55: .never
        // :path, age, content-length, content-range, etag, conditions, last-modified, location, range: a new one each time.
        case 4, 21, 28, 30, 34, 39...44, 46, 50: .none
        default: .incremental
        }
    }

    static func ofOther(_ name: Range<Int>, in bytes: Span<UInt8>) -> HPACKIndexing {
        switch name.count {
        case 9: bytes.matches(name, "x-api-key") ? .never : .incremental
        case 11: bytes.matches(name, "traceparent") ? .none : .incremental
        case 12:
            bytes.matches(name, "x-auth-token") ? .never : bytes.matches(name, "x-request-id") ? .none : .incremental
        // Whoever knows it takes over the session.
        case 14: bytes.matches(name, "mcp-session-id") ? .never : .incremental
        default: .incremental
        }
    }
}

extension ByteBuffer {
    /// Appends an integer whose first byte has `bits` bits for it, and `flags` above them (RFC 7541 §5.1).
    mutating func appendHPACK(integer value: Int, bits: UInt8, flags: UInt8) {
        let mask = 1 << Int(bits) - 1
        guard value >= mask else { return append(flags | UInt8(truncatingIfNeeded: value)) }
        append(flags | UInt8(truncatingIfNeeded: mask))
        var rest = value - mask
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    /// Appends a string (§5.2), in Huffman's code unless that is longer.
    mutating func appendHPACK(string text: Span<UInt8>) {
        let count = HPACKHuffman.encodedCount(text)
        if !text.isEmpty, count <= text.count {
            appendHPACK(integer: count, bits: 7, flags: 0x80)
            HPACKHuffman.encode(text, into: &self)
        } else {
            appendHPACK(integer: text.count, bits: 7, flags: 0)
            append(text)
        }
    }
}
