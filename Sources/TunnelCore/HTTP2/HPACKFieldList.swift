/// The fields of one header block, as lines of an HTTP/1 head: `name: value CRLF` one behind another, in the order they came.
///
/// So what reads and forwards the fields of HTTP/1 takes these too. Pseudo-header fields are lines like the others, their name
/// begins with ":". Nothing is known yet about their being allowed: `RequestHead.interpret`, `ResponseHead.interpret` and
/// ``keepTrailers()`` find that out. Keeps its memory from one block to the next.
package struct HPACKFieldList: ~Copyable, Sendable {
    /// The lines.
    package internal(set) var bytes = ByteBuffer()
    /// Their places in `bytes`.
    package internal(set) var fields: [Field] = []
    /// The block held more than a limit allows, and nothing of it was kept.
    package private(set) var isTooLarge = false

    package init() {}

    package mutating func reset() {
        bytes.removeAll()
        fields.removeAll(keepingCapacity: true)
        isTooLarge = false
    }

    /// Hands out the lines for the memory of an empty buffer, so that a head that was interpreted can outlive the next block.
    package mutating func exchangeBytes(with other: inout ByteBuffer) {
        other.removeAll()
        swap(&bytes, &other)
    }

    /// Reads the block as a trailer section (RFC 9113 §8.1) and drops what may not be passed on, as the trailers of HTTP/1 do.
    /// `bytes` then holds the lines that are left.
    ///
    /// - Throws: 400 for a pseudo-header field, a field of the connection, or one that is malformed.
    package mutating func keepTrailers() throws(HTTPError) {
        for field in fields { try field.checkForHTTP2() }
        var isKept = [Bool](repeating: true, count: fields.count)
        for (index, field) in fields.enumerated() {
            isKept[index] = bytes.withBytes { !TrailerSection.isForbidden(field, in: $0) }
        }
        if isKept.contains(false) { compact { isKept[$0] } }
    }

    /// Joins the crumbs of a cookie to one field, the last (RFC 9113 §8.2.3).
    mutating func joinCookies() {
        let start = bytes.count
        bytes.append("cookie: ")
        let valueStart = bytes.count
        var traits: FieldTraits = []
        for field in fields where field.id == .cookie {
            if bytes.count > valueStart { bytes.append("; ") }
            bytes.append(copyOf: field.value)
            traits.formUnion(field.traits)
        }
        let valueCount = bytes.count - valueStart
        bytes.append("\r\n")
        fields.append(Field(at: start, nameCount: 6, valueCount: valueCount, id: .cookie, traits: traits))
        let last = fields.count - 1
        compact { [fields] in $0 == last || fields[$0].id != .cookie }
    }

    /// Drops lines, and moves those behind them forward.
    private mutating func compact(_ isKept: (Int) -> Bool) {
        var end = 0
        var count = 0
        for index in fields.indices where isKept(index) {
            let field = fields[index]
            let size = field.line.count + 2
            bytes.move(size, from: field.line.lowerBound, to: end)
            fields[count] = field.moved(to: end)
            end += size
            count += 1
        }
        bytes.truncate(to: end)
        fields.removeLast(fields.count - count)
    }

    mutating func append(_ entry: HPACKEntry, at start: Int) {
        // Most lists fit, so a fresh one allocates once.
        if fields.capacity == 0 { fields.reserveCapacity(24) }
        fields.append(
            Field(
                at: start, nameCount: Int(entry.nameCount), valueCount: Int(entry.valueCount), id: entry.id,
                traits: entry.traits))
    }

    mutating func markTooLarge() {
        isTooLarge = true
        bytes.removeAll()
        fields.removeAll(keepingCapacity: true)
    }
}

extension Field {
    /// - Throws: 400 for a name or value that HTTP/2 does not allow, for a field of the connection (RFC 9113 §8.2), and for a
    ///   pseudo-header field, whose places are ahead of all others.
    @inline(__always)
    func checkForHTTP2() throws(HTTPError) {
        if !traits.isDisjoint(with: [.pseudo, .badName, .badValue]) || Self.ofConnection.contains(id) {
            throw refusalForHTTP2
        }
    }

    private static var ofConnection: FieldNames {
        FieldNames().with(.connection).with(.keepAlive).with(.proxyConnection).with(.transferEncoding).with(.upgrade)
    }

    private var refusalForHTTP2: HTTPError {
        if traits.contains(.pseudo) {
            return .badMessage("pseudo-header behind a field, or in trailers (RFC 9113 8.1, 8.3)")
        }
        if traits.contains(.badName) {
            return .badMessage("field name is not a token in small letters (RFC 9113 8.2.1)")
        }
        if traits.contains(.badValue) {
            return .badMessage("control byte in a field value, or white space around it (RFC 9113 8.2.1)")
        }
        return .badMessage("field of a connection (RFC 9113 8.2.2)")
    }
}
