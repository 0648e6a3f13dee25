/// Field lines that a hop writes into a head that it passes on, in place of those with the same names. Holds memory only
/// while it has lines.
package struct AddedLines: ~Copyable {
    /// Each with its CRLF.
    package var lines = ByteBuffer()
    /// The names whose lines are left out.
    package var replaced = FieldNames()
    /// Names that no code of ours knows, whose lines are left out too, in lower case.
    package var otherNames: [[UInt8]] = []

    package init() {}

    package var isEmpty: Bool { lines.isEmpty && replaced == FieldNames() && otherNames.isEmpty }

    /// Forgets the lines, and keeps memory for others.
    package mutating func removeAll() {
        lines.removeAll()
        replaced = FieldNames()
        if !otherNames.isEmpty { otherNames = [] }
    }

    package mutating func release() { lines.release() }
}
