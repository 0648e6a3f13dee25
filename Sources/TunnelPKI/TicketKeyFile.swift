internal import COpenSSL
internal import Glibc

/// The file with which several servers seal and open each other's TLS session tickets (RFC 5077 §4).
///
/// Three lines, each a key of 80 bytes in base64, the oldest first: the one that sealed before, the one that seals, and the
/// one that will seal next. All three open. So a key is known to every server for a whole period before the first of them
/// seals with it, and for another one after the last has done so: two servers of which one has read the file of today and
/// the other still has that of yesterday understand each other. It is the form that HAProxy reads (`tls-ticket-keys`).
///
/// Holds keys: whoever has one wipes it. It never prints itself.
package struct TicketKeyFile: Sendable, CustomStringConvertible, CustomReflectable {
    /// 16 bytes that name the key in each of its tickets, 32 for AES-256, 32 for HMAC-SHA-256.
    package static let keySize = 80
    package static let keyCount = 3
    /// Far above three keys and what anybody writes around them.
    package static let maxBytes = 4_096

    /// The oldest first; the second one seals.
    package private(set) var keys: [[UInt8]]
    /// When the keys last moved up, in seconds since 1970; `nil` where the file does not say.
    package private(set) var rotatedAt: Int64?

    /// Length of a key in base64.
    private static let lineSize = (keySize + 2) / 3 * 4
    private static let stamp = Array("# rotated ".utf8)
    private static let remedy = "`openssl rand -base64 \(keySize) | tr -d '\\n'` makes one"

    /// Reads a file. Empty lines and those that begin with `#` are passed over.
    ///
    /// - Throws: `.tooLarge`; `.missing` or `.several` for another number of keys; `.malformed` with the line's number.
    package init(_ file: [UInt8]) throws(PKIError) {
        guard file.count <= Self.maxBytes else {
            throw PKIError(.tooLarge, "\(file.count) bytes; three keys in base64 have at most \(Self.maxBytes)")
        }
        (keys, rotatedAt) = ([], nil)
        do throws(PKIError) { try read(file) } catch {
            wipe()
            throw error
        }
    }

    private mutating func read(_ file: [UInt8]) throws(PKIError) {
        var numbers: [Int] = []
        for (index, line) in file.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            let text = line.last == 0x0D ? line.dropLast() : line
            if text.starts(with: Self.stamp) { rotatedAt = UTCTime(text: text.dropFirst(Self.stamp.count))?.seconds }
            if text.isEmpty || text.first == UInt8(ascii: "#") { continue }
            let number = index + 1
            guard keys.count < Self.keyCount else {
                throw PKIError(.several, "line \(number): a fourth key; remove the oldest, which stands first")
            }
            keys.append(try Self.key(text, line: number))
            let name = keys[keys.count - 1].prefix(16)
            if let twin = keys.indices.dropLast().first(where: { keys[$0].prefix(16).elementsEqual(name) }) {
                throw PKIError(.malformed, "line \(number): the key of line \(numbers[twin]) again; \(Self.remedy)")
            }
            numbers.append(number)
        }
        guard keys.count == Self.keyCount else {
            throw PKIError(
                .missing, "\(keys.count) of \(Self.keyCount) keys; one a line, and \(Self.remedy)")
        }
    }

    private static func key(_ text: ArraySlice<UInt8>, line: Int) throws(PKIError) -> [UInt8] {
        guard text.count == lineSize else {
            throw PKIError(
                .malformed,
                "line \(line): \(text.count) characters; a key is \(keySize) bytes in base64, \(lineSize) characters, "
                    + "and \(remedy)")
        }
        var text = Array(text)
        defer { text.wipe() }
        guard let key = Base64.decode(text) else {
            throw PKIError(.malformed, "line \(line): not base64; \(remedy)")
        }
        guard key.count == keySize else {
            throw PKIError(.malformed, "line \(line): \(key.count) bytes; a key has \(keySize), and \(remedy)")
        }
        return key
    }

    // MARK: Making

    /// Three new keys.
    ///
    /// - Parameter now: seconds since 1970.
    package static func generate(now: Int64) throws(PKIError) -> TicketKeyFile {
        var file = TicketKeyFile(keys: [], rotatedAt: now)
        for _ in 0..<keyCount { file.keys.append(try makeKey()) }
        return file
    }

    private init(keys: [[UInt8]], rotatedAt: Int64?) { (self.keys, self.rotatedAt) = (keys, rotatedAt) }

    /// Moves each key up by one, drops the oldest, and makes a new one that will seal after the next call.
    package mutating func rotate(now: Int64) throws(PKIError) {
        keys.append(try Self.makeKey())
        keys[0].wipe()
        keys.removeFirst()
        rotatedAt = now
    }

    private static func makeKey() throws(PKIError) -> [UInt8] {
        ERR_clear_error()
        var isMade = false
        let key = [UInt8](unsafeUninitializedCapacity: keySize) { room, count in
            isMade = RAND_priv_bytes(room.baseAddress, Int32(keySize)) == 1
            count = isMade ? keySize : 0
        }
        guard isMade else { throw .fromQueue("cannot make a ticket key") }
        return key
    }

    /// What is written to the file.
    package var text: [UInt8] {
        var output: [UInt8] = []
        // One allocation, so that no half-filled copy of a key is left behind in freed memory.
        output.reserveCapacity(Self.maxBytes)
        let head = "# Keys for TLS session tickets: before, in use, next. Secret, like a private key.\n"
        output.append(contentsOf: head.utf8)
        if let rotatedAt { output.append(contentsOf: Self.stamp + Array("\(UTCTime(rotatedAt))\n".utf8)) }
        for key in keys { Base64.encodeLine(key, into: &output) }
        return output
    }

    /// Overwrites all keys.
    package mutating func wipe() {
        for index in keys.indices { keys[index].wipe() }
        keys = []
    }

    package var description: String { "<redacted>" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
