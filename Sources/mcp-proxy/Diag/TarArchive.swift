/// A tar archive of small files, in the form that POSIX calls ustar (pax(1), "ustar Interchange Format").
struct TarArchive {
    private static let block = 512

    private(set) var bytes: [UInt8] = []
    private let time: Int64

    /// - Parameter time: of change of every file, in seconds since 1970.
    init(time: Int64) { self.time = time }

    /// Appends a file that its owner alone may read.
    ///
    /// - Parameter name: relative, with at most 100 bytes of ASCII.
    mutating func add(_ name: String, _ content: [UInt8]) {
        var header = [UInt8](repeating: 0, count: Self.block)
        func put(_ text: String, at offset: Int) {
            header.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
        }
        put(String(name.prefix(100)), at: 0)
        put("0000600\0", at: 100)
        put("0000000\0", at: 108)
        put("0000000\0", at: 116)
        put(Self.octal(UInt64(content.count), digits: 11) + "\0", at: 124)
        put(Self.octal(UInt64(max(0, time)), digits: 11) + "\0", at: 136)
        // The sum is made with spaces in its own place.
        put("        ", at: 148)
        put("0", at: 156)
        put("ustar\0" + "00", at: 257)
        put("root", at: 265)
        put("root", at: 297)
        put(Self.octal(header.reduce(0) { $0 + UInt64($1) }, digits: 6) + "\0 ", at: 148)
        bytes += header + content
        pad(to: Self.block)
    }

    /// Ends the archive: two blocks of zeros, filled up to a record of twenty blocks.
    mutating func finish() {
        bytes += [UInt8](repeating: 0, count: 2 * Self.block)
        pad(to: 20 * Self.block)
    }

    private mutating func pad(to size: Int) {
        let rest = bytes.count % size
        if rest > 0 { bytes += [UInt8](repeating: 0, count: size - rest) }
    }

    private static func octal(_ value: UInt64, digits: Int) -> String {
        let text = String(value, radix: 8)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }
}
