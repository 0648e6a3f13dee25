/// How a field is to be sent (RFC 7541 §6.2).
package enum HPACKIndexing: Sendable, Equatable {
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
package struct HPACKEncoder: ~Copyable, Sendable {
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
    /// What Content-Length says in the block that was encoded last; -1 if it says nothing, or no number.
    private(set) var contentLength: Int64 = -1

    /// - Parameter sizeLimit: the most bytes of table to use, in RFC 7541's count.
    package init(sizeLimit: Int = 4_096) {
        self.sizeLimit = sizeLimit
        table = HPACKTable(maxSize: 4_096)
        if sizeLimit < 4_096 { choose(sizeLimit) }
    }

    /// The dynamic table as it is now, in RFC 7541's count.
    package var tableSize: Int { table.size }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE. Takes effect, and is told, with the next block (§4.2).
    package mutating func setTableLimit(_ limit: Int) { choose(min(limit, sizeLimit)) }

    private mutating func choose(_ size: Int) {
        guard pendingSizes != nil || size != table.maxSize else { return }
        pendingSizes = (min(pendingSizes?.smallest ?? size, size), size)
    }

    /// Begins a block.
    package mutating func begin(into out: inout ByteBuffer) {
        contentLength = -1
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
    package mutating func encode(
        name: Span<UInt8>, value: Span<UInt8>, indexing: HPACKIndexing = .automatic, into out: inout ByteBuffer
    ) {
        let count = name.count
        var hash = HPACKHash()
        hash.append(name, ignoringCase: true)
        let nameHash = hash
        hash.append(value)
        // What is in the table was found fit for it before.
        if indexing == .automatic, let age = findField(hash, name, value),
            !table.entry(age).traits.contains(.neverIndexed)
        {
            return out.appendHPACK(integer: age + HPACK.staticCount + 1, bits: 7, flags: 0x80)
        }
        setLine(name, value)
        let fixed = line.withBytes {
            HPACKStaticTable.shared.find($0.extracting(0..<count), hash: nameHash, value: value)
        }
        if fixed.name == HPACK.contentLengthIndex { contentLength = value.decimalNumber }
        var entry = HPACKEntry(
            offset: 0, nameCount: UInt32(truncatingIfNeeded: count),
            valueCount: UInt32(truncatingIfNeeded: value.count), id: .other, traits: [])
        let policy = policy(fixed.name, count)
        let indexing = indexing == .automatic ? policy : indexing
        if indexing != .never {
            if fixed.field > 0 { return out.appendHPACK(integer: fixed.field, bits: 7, flags: 0x80) }
            if let age = findField(hash, name, value) {
                return out.appendHPACK(integer: age + HPACK.staticCount + 1, bits: 7, flags: 0x80)
            }
            // A field that would drive out most of the others is not worth its place.
            if indexing == .incremental, entry.cost <= table.maxSize * 3 / 4 {
                if policy == .never { entry.traits = .neverIndexed }
                appendLiteral(entry, index: nameIndex(entry, fixed.name, nameHash), bits: 6, flags: 0x40, into: &out)
                line.withBytes { table.add($0, entry) }
                return remember(nameHash, hash)
            }
        }
        appendLiteral(
            entry, index: nameIndex(entry, fixed.name, nameHash), bits: 4, flags: indexing == .never ? 0x10 : 0,
            into: &out)
    }

    /// Encodes `:status`.
    package mutating func encode(status: UInt16, into out: inout ByteBuffer) {
        // Those that the static table has (RFC 7541 Appendix A).
        switch status {
        case 200: return out.append(0x88)
        case 204: return out.append(0x89)
        case 206: return out.append(0x8A)
        case 304: return out.append(0x8B)
        case 400: return out.append(0x8C)
        case 404: return out.append(0x8D)
        case 500: return out.append(0x8E)
        default: break
        }
        let digits: InlineArray<3, UInt8> = [
            UInt8(truncatingIfNeeded: 0x30 + status / 100 % 10), UInt8(truncatingIfNeeded: 0x30 + status / 10 % 10),
            UInt8(truncatingIfNeeded: 0x30 + status % 10),
        ]
        let name: InlineArray<7, UInt8> = [0x3A, 0x73, 0x74, 0x61, 0x74, 0x75, 0x73]
        encode(name: name.span, value: digits.span, into: &out)
    }

    /// Makes the line under way of a field.
    private mutating func setLine(_ name: Span<UInt8>, _ value: Span<UInt8>) {
        line.removeAll()
        let (nameCount, valueCount) = (name.count, value.count)
        _ = line.append(atMost: nameCount + valueCount + 4) { room in
            name.withUnsafeBytes { name in
                // SAFETY: every offset below is less than the number of bytes that `room` has.
                var i = 0
                while nameCount - i >= 8 {
                    let word = ByteWord.small(name.loadUnaligned(fromByteOffset: i, as: UInt64.self))
                    room.storeBytes(of: word, toByteOffset: i, as: UInt64.self)
                    i += 8
                }
                while i < nameCount {
                    room.storeBytes(of: name[i].asciiLowercase, toByteOffset: i, as: UInt8.self)
                    i += 1
                }
            }
            // ": " and CRLF as they lie in memory.
            room.storeBytes(of: UInt16(littleEndian: 0x203A), toByteOffset: nameCount, as: UInt16.self)
            value.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: room[(nameCount + 2)...]).copyMemory(from: $0)
            }
            room.storeBytes(of: UInt16(littleEndian: 0x0A0D), toByteOffset: nameCount + valueCount + 2, as: UInt16.self)
            return nameCount + valueCount + 4
        }
    }

    /// Overwrites what is used from one field to the next only.
    mutating func wipe() { line.wipe() }

    /// Gives it back.
    mutating func releaseMemory() { line.release() }

    private func policy(_ fixedName: Int, _ nameCount: Int) -> HPACKIndexing {
        fixedName > 0 ? HPACKPolicy.ofStatic(fixedName) : line.withBytes { HPACKPolicy.ofOther(0..<nameCount, in: $0) }
    }

    private func findField(_ hash: HPACKHash, _ name: Span<UInt8>, _ value: Span<UInt8>) -> Int? {
        guard !fieldPlaces.isEmpty, let age = table.index(ofNumber: fieldPlaces[hash.place]) else { return nil }
        let entry = table.entry(age)
        let count = name.count
        guard Int(entry.nameCount) == count, Int(entry.valueCount) == value.count else { return nil }
        let isSame = table.withLine(entry) { line in
            guard value.isEqual(to: line, at: count + 2, count: value.count) else { return false }
            if name.isEqual(to: line, at: 0, count: count) { return true }
            for i in 0..<count where name[i].asciiLowercase != line[i] { return false }
            return true
        }
        return isSame ? age : nil
    }

    /// An index of the name, 0 if there is none.
    private func nameIndex(_ entry: HPACKEntry, _ fixedName: Int, _ hash: HPACKHash) -> Int {
        guard fixedName == 0 else { return fixedName }
        guard !namePlaces.isEmpty, let age = table.index(ofNumber: namePlaces[hash.place]) else { return 0 }
        let found = table.entry(age)
        guard found.nameCount == entry.nameCount else { return 0 }
        let count = Int(entry.nameCount)
        let isSame = line.withBytes { line in
            table.withLine(found) { line.extracting(0..<count).isEqual(to: $0, at: 0, count: count) }
        }
        return isSame ? age + HPACK.staticCount + 1 : 0
    }

    private mutating func remember(_ nameHash: HPACKHash, _ lineHash: HPACKHash) {
        if fieldPlaces.isEmpty {
            // A number that no entry has until there were as many as can be counted; and then it would be compared.
            fieldPlaces = [UInt32](repeating: .max, count: HPACKHash.places)
            namePlaces = fieldPlaces
        }
        fieldPlaces[lineHash.place] = table.added &- 1
        namePlaces[nameHash.place] = table.added &- 1
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
            HPACKHuffman.encode(text, count: count, into: &self)
        } else {
            appendHPACK(integer: text.count, bits: 7, flags: 0)
            append(text)
        }
    }
}

extension Span<UInt8> {
    /// The number that a Content-Length says; -1 if it is none that could be one.
    fileprivate var decimalNumber: Int64 {
        guard 1...18 ~= count else { return -1 }
        var number: Int64 = 0
        for i in 0..<count {
            guard let digit = self[i].decimalDigit else { return -1 }
            number = number * 10 + Int64(digit)
        }
        return number
    }
}
