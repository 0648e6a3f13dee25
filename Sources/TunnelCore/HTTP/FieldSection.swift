/// The field lines of a head, up to the empty line that ends it. Keeps its storage from one head to the next.
struct FieldSection: Sendable {
    var lines = HeadLines()
    private(set) var fields: [Field] = []
    /// The names among them, so that nobody looks for a field that is not there.
    private(set) var names = FieldNames()

    /// Where the first field line begins, for copying whole runs of lines.
    private(set) var start = 0

    init() {}

    /// An empty one in the memory of another.
    init(storage: consuming [Field]) { fields = storage }

    /// Forgets the fields and hands out their memory.
    mutating func surrender() -> [Field] {
        var storage: [Field] = []
        swap(&storage, &fields)
        storage.removeAll(keepingCapacity: true)
        return storage
    }

    mutating func reset() {
        lines = HeadLines()
        fields.removeAll(keepingCapacity: true)
        names = FieldNames()
        start = 0
    }

    /// Takes over fields that were read otherwise, less the first `skipped` of them, and leaves its own memory in `fields`.
    ///
    /// - Parameter end: where the lines end, for `size`.
    mutating func adopt(_ fields: inout [Field], skipping skipped: Int, end: Int) {
        swap(&self.fields, &fields)
        fields.removeAll(keepingCapacity: true)
        names = FieldNames()
        for index in skipped..<self.fields.count {
            names.insert(self.fields[index].id)
            self.fields[index - skipped] = self.fields[index]
        }
        for _ in 0..<skipped { self.fields.removeLast() }
        start = self.fields.first?.line.lowerBound ?? end
        lines = HeadLines(position: end)
    }

    /// The start line has been read; field lines follow.
    mutating func begin() {
        start = lines.position
        // Most heads fit, so a fresh one allocates once.
        if fields.capacity == 0 { fields.reserveCapacity(24) }
    }

    /// Reads the lines that are there.
    ///
    /// - Returns: whether the empty line was reached.
    /// - Throws: 400 for a malformed line, 431 for a field too many.
    mutating func read(_ bytes: Span<UInt8>, _ limits: HeadLimits) throws(HTTPError) -> Bool {
        while let line = try lines.next(in: bytes, limit: limits.byteLimit) {
            if line.isEmpty { return true }
            guard fields.count < limits.maxFields else { throw .tooLarge("over \(limits.maxFields) fields") }
            let field = try Field(line: line, in: bytes)
            names.insert(field.id)
            fields.append(field)
        }
        return false
    }

    /// Marks the fields that are not passed on, and returns what Connection says about the connection.
    mutating func markHopByHop(_ bytes: Span<UInt8>) throws(HTTPError) -> ConnectionOptions {
        try HopByHop.mark(&fields, bytes)
    }

    /// The first field with that name.
    func first(_ id: FieldName) -> Field? {
        guard names.contains(id) else { return nil }
        for field in fields where field.id == id { return field }
        return nil
    }
}

/// Cuts a head into lines that end in CRLF, however the bytes arrive: no byte is looked at twice.
///
/// A control byte is refused the moment it is seen, also in a line that has no end yet: a bare CR, LF or NUL and what
/// is no HTTP at all need not wait for a deadline.
struct HeadLines: Sendable {
    /// Where the line being read begins; behind the last line once all are read.
    private(set) var position = 0
    /// The line being read holds no control byte before this offset.
    private var scanned = 0

    /// - Parameter position: where reading goes on.
    init(position: Int = 0) { (self.position, scanned) = (position, position) }

    /// - Parameter limit: the head must end within this many bytes.
    /// - Returns: the next line without its CRLF, or `nil` if more bytes are needed.
    /// - Throws: 400 for a control byte other than HTAB, a bare CR or a bare LF; 431 when the limit is reached.
    mutating func next(in bytes: Span<UInt8>, limit: Int) throws(HTTPError) -> Range<Int>? {
        let end = min(bytes.count, limit)
        guard scanned <= end else { return nil }
        let stop = bytes.firstControl(from: scanned, to: end)
        if stop < end, bytes[stop] != HTTPByte.carriageReturn {
            throw .badMessage(bytes[stop] == HTTPByte.lineFeed ? "bare LF (RFC 9112 2.2)" : "control byte in a head")
        }
        guard stop + 1 < end else {
            if end == limit { throw .tooLarge("head over \(limit) bytes") }
            scanned = stop
            return nil
        }
        guard bytes[stop + 1] == HTTPByte.lineFeed else { throw .badMessage("bare CR (RFC 9112 2.2)") }
        let line = position..<stop
        position = stop + 2
        scanned = position
        return line
    }
}
