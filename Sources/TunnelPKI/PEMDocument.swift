internal import COpenSSL

/// A file in PEM (RFC 7468): blocks between `-----BEGIN LABEL-----` and `-----END LABEL-----`, and perhaps other text
/// around them.
///
/// Stricter than most readers, on purpose: a block that another program might read differently, or skip, is an error
/// here. A caller that holds private keys wipes the document after use.
package struct PEMDocument: Sendable {
    /// Larger than any real key, certificate or chain; a wrong file is refused before anything is allocated for it.
    package static let maxBytes = 64 * 1024
    /// The same for a bundle of anchors: all public CAs together have 220 KiB.
    package static let maxBundleBytes = 4 << 20

    /// One block. `contents` is the decoded base64, usually DER.
    package struct Block: Sendable, Equatable {
        package let label: String
        /// Has RFC 1421 headers, which belong to OpenSSL's old key format only.
        package let hasHeaders: Bool
        /// One of them says `Proc-Type: 4,ENCRYPTED`; `contents` is then ciphertext.
        package let isEncrypted: Bool
        package var contents: [UInt8]

        package var isCertificate: Bool { label == "CERTIFICATE" }
        /// `PRIVATE KEY`, `RSA PRIVATE KEY`, `EC PRIVATE KEY`, `ENCRYPTED PRIVATE KEY`, `OPENSSH PRIVATE KEY`.
        package var isPrivateKey: Bool { label.hasSuffix("PRIVATE KEY") }
    }

    package private(set) var blocks: [Block] = []
    /// Something other than white space stands outside the blocks, for example what `openssl x509 -text` prints.
    package private(set) var hasTextAround = false

    /// Reads a whole file. No block at all is not an error: `blocks` is then empty.
    ///
    /// - Throws: `.tooLarge` above `maxBytes`; `.malformed` with the line number for a block without end, an END that
    ///   does not match its BEGIN, a BEGIN or END that does not stand alone on its line, or bytes that are no base64.
    package init(_ file: [UInt8], maxBytes: Int = Self.maxBytes) throws(PKIError) {
        guard file.count <= maxBytes else {
            throw PKIError(.tooLarge, "\(file.count) bytes; keys and certificates have at most \(maxBytes)")
        }
        guard !file.starts(with: Self.byteOrderMark) else {
            throw PKIError(.malformed, "the file begins with a byte order mark, which hides its first line")
        }
        var lines = PEMLines(file)
        while let line = lines.next() {
            if let label = Self.label(of: line, in: file, boundary: Self.begin) {
                blocks.append(try Self.block(label: label, from: &lines, in: file))
            } else if Self.mentionsBoundary(line, in: file) {
                throw PKIError(.malformed, "line \(lines.number): BEGIN or END out of place or not alone on its line")
            } else if !line.isEmpty, line.upperBound == file.count, Self.begin.starts(with: file[line]) {
                // Of a file that is just being written, or the tail of a chain would be lost without a word.
                throw PKIError(.malformed, "line \(lines.number): a BEGIN line is cut off")
            } else if !Self.isBlank(line, in: file) {
                hasTextAround = true
            }
        }
    }

    /// Overwrites the contents of all blocks.
    package mutating func wipe() {
        for index in blocks.indices { blocks[index].contents.wipe() }
    }

    /// The text of one block, ended by a line feed.
    package static func encode(label: String, contents: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(contents.count / 3 * 4 + contents.count / 48 + 2 * label.utf8.count + 64)
        output.append(contentsOf: "-----BEGIN \(label)-----\n".utf8)
        Base64.encodeLines(contents, into: &output)
        output.append(contentsOf: "-----END \(label)-----\n".utf8)
        return output
    }
}

extension PEMDocument {
    private static let begin = Array("-----BEGIN ".utf8)
    private static let end = Array("-----END ".utf8)
    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
    private static let dashes = Array("-----".utf8)

    /// Reads up to and including the END line of a block whose BEGIN line has just been read.
    private static func block(label: String, from lines: inout PEMLines, in file: [UInt8]) throws(PKIError) -> Block {
        let firstLine = lines.number
        var isEncrypted = false
        var inHeaders = false
        var hasHeaders = false
        var text: [UInt8] = []
        // One allocation, so that no half-filled copy of a key is left behind in freed memory.
        text.reserveCapacity(file.count - lines.position)
        defer { text.wipe() }
        while let line = lines.next() {
            if let endLabel = Self.label(of: line, in: file, boundary: end) {
                guard endLabel == label else {
                    throw PKIError(
                        .malformed, "line \(lines.number): END \(endLabel) closes BEGIN \(label) of line \(firstLine)")
                }
                guard let contents = Base64.decode(text) else {
                    throw PKIError(
                        .malformed, "the block \(label) of line \(firstLine) is cut off or badly padded")
                }
                guard !contents.isEmpty else {
                    throw PKIError(.malformed, "the block \(label) of line \(firstLine) is empty")
                }
                return Block(label: label, hasHeaders: hasHeaders, isEncrypted: isEncrypted, contents: contents)
            }
            // RFC 1421 §4.6: headers come first and end with an empty line. OpenSSL's old key format has them.
            if text.isEmpty, line.contains(where: { file[$0] == UInt8(ascii: ":") }) {
                inHeaders = true
                hasHeaders = true
                let header = String(decoding: file[line], as: UTF8.self)
                if header.hasPrefix("Proc-Type:"), header.contains("ENCRYPTED") { isEncrypted = true }
            } else if inHeaders {
                guard isBlank(line, in: file) else {
                    throw PKIError(.malformed, "line \(lines.number): an empty line is missing after the headers")
                }
                inHeaders = false
            } else {
                for index in line where !isWhitespace(file[index]) {
                    guard Base64.isCharacter(file[index]) else {
                        throw PKIError(.malformed, "line \(lines.number): not base64")
                    }
                    text.append(file[index])
                }
            }
        }
        throw PKIError(.malformed, "the block \(label) of line \(firstLine) has no END line: the file is cut off")
    }

    /// The label, if `line` is exactly a boundary with a well-formed label (RFC 7468 §3), white space after it aside.
    private static func label(of line: Range<Int>, in file: [UInt8], boundary: [UInt8]) -> String? {
        var line = line
        while let last = line.last, isWhitespace(file[last]) { line.removeLast() }
        guard line.count > boundary.count + dashes.count, file[line].starts(with: boundary),
            file[line].suffix(dashes.count).elementsEqual(dashes)
        else { return nil }
        let label = file[line.lowerBound + boundary.count..<line.upperBound - dashes.count]
        let isPlain = label.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "-") }
        guard isPlain, label.first != 0x20, label.last != 0x20 else { return nil }
        return String(decoding: label, as: UTF8.self)
    }

    private static func mentionsBoundary(_ line: Range<Int>, in file: [UInt8]) -> Bool {
        line.contains { index in
            let rest = file[index..<line.upperBound]
            return file[index] == UInt8(ascii: "-") && (rest.starts(with: begin) || rest.starts(with: end))
        }
    }

    private static func isBlank(_ line: Range<Int>, in file: [UInt8]) -> Bool {
        line.allSatisfy { isWhitespace(file[$0]) }
    }

    private static func isWhitespace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}

/// The lines of a file as index ranges without their ends; LF, CR LF and a lone CR each end a line.
private struct PEMLines {
    private let file: [UInt8]
    private(set) var position = 0
    /// Number of the line that `next()` returned last, from 1.
    private(set) var number = 0

    init(_ file: [UInt8]) { self.file = file }

    mutating func next() -> Range<Int>? {
        guard position < file.count else { return nil }
        let start = position
        while position < file.count, file[position] != 0x0A, file[position] != 0x0D { position += 1 }
        let line = start..<position
        if position < file.count {
            let isPair = file[position] == 0x0D && position + 1 < file.count && file[position + 1] == 0x0A
            position += isPair ? 2 : 1
        }
        number += 1
        return line
    }
}

/// Whether a file is one DER value instead of text: it begins with the tag of a SEQUENCE.
func isDER(_ file: [UInt8]) -> Bool { file.first == 0x30 }

/// Base64 with the standard alphabet and padding (RFC 4648 §4), by OpenSSL's functions for whole blocks: they keep no
/// copy of a key in a context that nobody wipes.
enum Base64 {
    /// A letter of the alphabet, or padding.
    static func isCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="):
            true
        default: false
        }
    }

    /// The bytes of `text`, or nil if it is not whole groups of the alphabet with padding only at the end.
    ///
    /// That is looked at here, because OpenSSL skips white space at both ends, stops at a hyphen and takes padding
    /// anywhere for zeros.
    static func decode(_ text: [UInt8]) -> [UInt8]? {
        let padding = text.reversed().prefix(3).prefix { $0 == UInt8(ascii: "=") }.count
        guard text.count % 4 == 0, padding < 3, text.allSatisfy(isCharacter),
            !text.dropLast(padding).contains(UInt8(ascii: "="))
        else { return nil }
        return [UInt8](unsafeUninitializedCapacity: text.count / 4 * 3) { room, count in
            let written = EVP_DecodeBlock(room.baseAddress, text, Int32(text.count))
            // It counts padding as bytes. Nothing is written for an empty text.
            count = max(0, Int(written) - padding)
        }
    }

    /// `bytes` in lines of 64 characters, each ended by a line feed, as PEM wants them (RFC 7468 §2).
    static func encodeLines(_ bytes: [UInt8], into output: inout [UInt8]) {
        for start in stride(from: 0, to: bytes.count, by: 48) {
            encode(bytes, start..<min(start + 48, bytes.count), into: &output)
        }
    }

    /// `bytes` in one line, ended by a line feed.
    static func encodeLine(_ bytes: [UInt8], into output: inout [UInt8]) { encode(bytes, bytes.indices, into: &output) }

    private static func encode(_ bytes: [UInt8], _ part: Range<Int>, into output: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: (part.count + 2) / 3 * 4 + 1) { line in
            let count = bytes.withUnsafeBufferPointer { bytes in
                EVP_EncodeBlock(
                    line.baseAddress, UnsafeBufferPointer(rebasing: bytes[part]).baseAddress, Int32(part.count))
            }
            output.append(contentsOf: line.prefix(Int(count)))
            output.append(UInt8(ascii: "\n"))
            OPENSSL_cleanse(line.baseAddress, line.count)
        }
    }
}
