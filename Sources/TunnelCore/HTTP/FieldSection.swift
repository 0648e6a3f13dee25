/// The field lines of a head, up to the empty line that ends it. Keeps its storage from one head to the next.
struct FieldSection: Sendable {
    var lines = HeadLines()
    private(set) var fields: [Field] = []

    /// Where the first field line begins, for copying whole runs of lines.
    private(set) var start = 0

    /// Fields that there is memory for.
    var capacity: Int { fields.capacity }

    mutating func reset() {
        lines = HeadLines()
        fields.removeAll(keepingCapacity: true)
        start = 0
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
            fields.append(try Field(line: line, in: bytes))
        }
        return false
    }

    /// Marks the fields that are not passed on, and returns what Connection says about the connection.
    mutating func markHopByHop(_ bytes: Span<UInt8>) throws(HTTPError) -> ConnectionOptions {
        try HopByHop.mark(&fields, bytes)
    }

    /// The first field with that name.
    func first(_ id: FieldName) -> Field? {
        for field in fields where field.id == id { return field }
        return nil
    }
}
