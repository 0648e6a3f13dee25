/// What one header block may be decoded to.
public struct HPACKLimits: Sendable, Equatable {
    /// Fields, pseudo-header fields and each crumb of a cookie among them.
    public var maxFields = 200
    /// The sum of name, value and 32 for each field: what SETTINGS_MAX_HEADER_LIST_SIZE counts (RFC 9113 §6.5.2).
    public var maxListSize = 65_536
    /// The dynamic table, in RFC 7541's count: our SETTINGS_HEADER_TABLE_SIZE.
    public var maxTableSize = 4_096

    /// A block that goes beyond the limits is decoded to its end without being kept, for the next one depends on the table
    /// that it leaves. This many times the limits end the connection.
    static let excess = 4

    public init() {}

    public init(maxFields: Int, maxListSize: Int, maxTableSize: Int) {
        self.maxFields = maxFields
        self.maxListSize = maxListSize
        self.maxTableSize = maxTableSize
    }
}

/// Why a header block cannot be decoded. It is fatal for the connection, whose tables now differ.
package struct HPACKError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        /// The block ends in the middle of a field.
        case truncated
        /// An integer over 2²⁸ (RFC 7541 §5.1 lets a decoder bound them).
        case integer
        /// An index of no entry (§2.3.3).
        case index
        /// A table size above the limit, not at the front of the block, or missing after the limit went down (§4.2, §6.3).
        case tableSize
        /// A code of EOS, or padding that is too long or not that of EOS (§5.2).
        case huffman
        /// Four times over the limits: COMPRESSION_ERROR for the others, ENHANCE_YOUR_CALM for this.
        case excessive
    }

    package let code: Code
    /// The rule broken, for our own log.
    package let reason: String

    package var description: String { "hpack: \(reason)" }

    /// The reason is prose.
    package static func == (a: HPACKError, b: HPACKError) -> Bool { a.code == b.code }

    static let truncated = HPACKError(code: .truncated, reason: "header block cut short (RFC 7541 6)")
    static let integer = HPACKError(code: .integer, reason: "integer too large (RFC 7541 5.1)")
    static let index = HPACKError(code: .index, reason: "index of no entry (RFC 7541 2.3.3)")
    static let tableTooLarge = HPACKError(code: .tableSize, reason: "table size above the limit (RFC 7541 6.3)")
    static let lateTableSize = HPACKError(code: .tableSize, reason: "table size behind a field (RFC 7541 4.2)")
    static let noTableSize = HPACKError(code: .tableSize, reason: "no table size after a lower limit (RFC 7541 4.2)")
    static let huffman = HPACKError(code: .huffman, reason: "invalid Huffman code or padding (RFC 7541 5.2)")
    static let excessive = HPACKError(code: .excessive, reason: "header list several times over its limits")
}

/// Decodes header blocks (RFC 7541), one after another, into lines as HTTP/1 has them.
///
/// One for each connection and direction. Allocates nothing once the table and the list it decodes into have their size.
package struct HPACKDecoder: ~Copyable, Sendable {
    private let limits: HPACKLimits
    private var table: HPACKTable
    /// The largest table that the peer may choose: what we announced and it acknowledged.
    private var tableLimit: Int
    /// The limit went below the size in use, so that the next block has to begin with a table size.
    private var needsTableSize = false

    package init(limits: HPACKLimits = HPACKLimits()) {
        self.limits = limits
        // RFC 9113 §6.5.2: until a setting of ours is acknowledged, it is 4,096.
        tableLimit = 4_096
        table = HPACKTable(maxSize: tableLimit)
    }

    /// The peer acknowledged our SETTINGS_HEADER_TABLE_SIZE.
    package mutating func setTableLimit(_ limit: Int) {
        tableLimit = limit
        needsTableSize = limit < table.maxSize
    }

    /// The dynamic table as it is now, in RFC 7541's count.
    package var tableSize: Int { table.size }

    /// Decodes one whole block.
    ///
    /// - Parameter list: replaced by what the block holds. A list beyond a limit is empty and `isTooLarge`; the decoder
    ///   stays in step with the peer.
    /// - Throws: whatever makes the block undecodable. The decoder is of no use afterwards.
    package mutating func decode(_ block: Span<UInt8>, into list: inout HPACKFieldList) throws(HPACKError) {
        list.reset()
        var reader = HPACKReader()
        var size = 0
        var count = 0
        while let first = reader.next(block) {
            if first & 0xE0 == 0x20 {
                guard count == 0 else { throw .lateTableSize }
                let size = try reader.integer(block, first, bits: 5)
                guard size <= tableLimit else { throw .tableTooLarge }
                table.setMaxSize(size)
                needsTableSize = false
                continue
            }
            if needsTableSize { throw .noTableSize }
            let start = list.bytes.count
            let entry =
                if first & 0x80 != 0 {
                    try repeatEntry(try reader.integer(block, first, bits: 7), into: &list.bytes)
                } else {
                    try literal(first, &reader, block, into: &list.bytes)
                }
            count += 1
            size += entry.cost
            if count > limits.maxFields || size > limits.maxListSize {
                guard count <= limits.maxFields * HPACKLimits.excess, size <= limits.maxListSize * HPACKLimits.excess
                else { throw .excessive }
                // What is not kept takes no memory.
                list.markTooLarge()
            } else {
                list.append(entry, at: start)
            }
        }
        if needsTableSize { throw .noTableSize }
    }

    /// An indexed field (§6.1).
    private func repeatEntry(_ index: Int, into out: inout ByteBuffer) throws(HPACKError) -> HPACKEntry {
        guard index > 0 else { throw .index }
        guard index > HPACK.staticCount else {
            let entry = HPACKStaticTable.shared.entry(index)
            HPACKStaticTable.shared.append(entry, count: entry.lineCount, to: &out)
            return entry
        }
        let entry = try dynamicEntry(index)
        table.append(entry.lineCount, of: entry, to: &out)
        return entry
    }

    private func dynamicEntry(_ index: Int) throws(HPACKError) -> HPACKEntry {
        let age = index - HPACK.staticCount - 1
        guard age < table.count else { throw .index }
        return table.entry(age)
    }

    /// A literal field (§6.2): name by index or in full, value in full; added to the table where it says so.
    private mutating func literal(
        _ first: UInt8, _ reader: inout HPACKReader, _ block: Span<UInt8>, into out: inout ByteBuffer
    ) throws(HPACKError) -> HPACKEntry {
        let isAdded = first & 0x40 != 0
        let start = out.count
        let index = try reader.integer(block, first, bits: isAdded ? 6 : 4)
        var entry: HPACKEntry
        if index == 0 {
            try reader.string(block, into: &out)
            let name = start..<out.count
            entry = out.withBytes { bytes in
                HPACKEntry(
                    offset: 0, nameCount: UInt32(truncatingIfNeeded: name.count), valueCount: 0,
                    id: FieldName(name, in: bytes), traits: FieldTraits(name: name, in: bytes))
            }
            out.append(HTTPByte.colon)
            out.append(HTTPByte.space)
        } else {
            // The name, colon and space of the entry's line.
            entry = index <= HPACK.staticCount ? HPACKStaticTable.shared.entry(index) : try dynamicEntry(index)
            let count = Int(entry.nameCount) + 2
            if index <= HPACK.staticCount {
                HPACKStaticTable.shared.append(entry, count: count, to: &out)
            } else {
                table.append(count, of: entry, to: &out)
            }
        }
        try reader.string(block, into: &out)
        let value = start + Int(entry.nameCount) + 2..<out.count
        entry.valueCount = UInt32(truncatingIfNeeded: value.count)
        entry.traits = out.withBytes { entry.traits.with(value: value, in: $0) }
        out.append(HTTPByte.carriageReturn)
        out.append(HTTPByte.lineFeed)
        if isAdded {
            out.withBytes { table.add($0.extracting(start..<$0.count), entry) }
        } else if first & 0x10 != 0 {
            entry.traits.insert(.neverIndexed)
        }
        return entry
    }
}

/// Reads the primitives of a block (§5).
private struct HPACKReader {
    private var position = 0

    mutating func next(_ bytes: Span<UInt8>) -> UInt8? {
        guard position < bytes.count else { return nil }
        position += 1
        return bytes[position - 1]
    }

    /// An integer whose first byte, already read, has its lowest `bits` bits (§5.1).
    mutating func integer(_ bytes: Span<UInt8>, _ first: UInt8, bits: UInt8) throws(HPACKError) -> Int {
        let mask = UInt8(1) << bits - 1
        guard first & mask == mask else { return Int(first & mask) }
        var value = Int(mask)
        var shift = 0
        while let byte = next(bytes) {
            value += Int(byte & 0x7F) &<< shift
            if byte & 0x80 == 0 { return value }
            shift += 7
            // 28 bits are far more than any length or table of ours.
            guard shift < 28 else { throw .integer }
        }
        throw .truncated
    }

    /// Appends a string (§5.2).
    mutating func string(_ bytes: Span<UInt8>, into out: inout ByteBuffer) throws(HPACKError) {
        guard let first = next(bytes) else { throw .truncated }
        let count = try integer(bytes, first, bits: 7)
        guard count <= bytes.count - position else { throw .truncated }
        let text = bytes.extracting(position..<position + count)
        position += count
        if first & 0x80 == 0 {
            out.append(text)
        } else if !HPACKHuffman.decode(text, into: &out) {
            throw .huffman
        }
    }
}
