internal import COpenSSL

/// Reads certificates and keys out of a file's bytes, in PEM (RFC 7468) or DER.
///
/// The bytes must outlive the reader. It refuses encrypted blocks: OpenSSL's own answer to one is a prompt on the
/// terminal.
struct PEMReader: ~Copyable {
    /// Largest file looked at. A chain is a few KiB, a bundle of every public CA 220 KiB.
    static let maxFileBytes = 4 << 20

    private let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// A file of one DER value begins with the tag of a SEQUENCE, which is no text.
    private var isDER: Bool { bytes.first == 0x30 }

    /// Why a file could not be read; the reason never quotes its bytes.
    enum Failure: Error {
        case none
        case malformed(String)
        case encrypted
    }

    /// Every certificate in the file, in order; blocks of other kinds are passed over.
    func certificates() throws(Failure) -> [Certificate] {
        guard bytes.count <= Self.maxFileBytes else { throw .malformed("over \(Self.maxFileBytes) bytes") }
        let found = isDER ? try derCertificates() : try pemCertificates()
        guard !found.isEmpty else { throw .none }
        return found
    }

    /// The first private key in the file: PKCS #8, PKCS #1 or SEC 1.
    func privateKey() throws(Failure) -> PrivateKey {
        guard bytes.count <= Self.maxFileBytes else { throw .malformed("over \(Self.maxFileBytes) bytes") }
        return isDER ? try derPrivateKey() : try pemPrivateKey()
    }

    // MARK: PEM

    private func pemCertificates() throws(Failure) -> [Certificate] {
        guard endsOnWholeBlock else { throw .malformed("the last block has no end line") }
        guard let source = BIO_new_mem_buf(bytes.baseAddress, CInt(bytes.count)) else { throw .malformed("no memory") }
        defer { BIO_free(source) }
        var found: [Certificate] = []
        while true {
            ERR_clear_error()
            var sawEncryption = false
            if let pointer = PEM_read_bio_X509(source, nil, refusePassword, &sawEncryption) {
                found.append(Certificate(owning: pointer))
                continue
            }
            let code = ERR_peek_last_error()
            if ERR_GET_LIB(code) == ERR_LIB_PEM, ERR_GET_REASON(code) == PEM_R_NO_START_LINE {
                ERR_clear_error()
                return found
            }
            let detail = TLSError.fromQueue("certificate").detail
            throw sawEncryption ? .encrypted : .malformed(detail)
        }
    }

    private func pemPrivateKey() throws(Failure) -> PrivateKey {
        guard contains("PRIVATE KEY-----") else { throw .none }
        guard endsOnWholeBlock else { throw .malformed("the last block has no end line") }
        guard let source = BIO_new_mem_buf(bytes.baseAddress, CInt(bytes.count)) else { throw .malformed("no memory") }
        defer { BIO_free(source) }
        ERR_clear_error()
        var sawEncryption = false
        if let pointer = PEM_read_bio_PrivateKey(source, nil, refusePassword, &sawEncryption) {
            // A block of another kind before the key leaves entries behind even on success.
            ERR_clear_error()
            return PrivateKey(owning: pointer)
        }
        let detail = TLSError.fromQueue("private key").detail
        throw sawEncryption ? .encrypted : .malformed(detail)
    }

    /// OpenSSL passes over a start line that is cut off. In a file that is just being written that would lose the
    /// tail of the chain, so the last line beginning with a dash must be a whole end line.
    private var endsOnWholeBlock: Bool {
        let lines = bytes.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D })
        guard let last = lines.last(where: { $0.first == 0x2D }) else { return true }
        let end = last.reversed().drop(while: { $0 == 0x20 })
        return last.starts(with: "-----END ".utf8) && end.starts(with: "-----".utf8)
    }

    private func contains(_ text: StaticString) -> Bool {
        let pattern = UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard bytes.count >= pattern.count else { return false }
        return (0...bytes.count - pattern.count).contains { start in
            bytes[start] == pattern[0] && bytes[start..<start + pattern.count].elementsEqual(pattern)
        }
    }

    // MARK: DER

    private func derCertificates() throws(Failure) -> [Certificate] {
        ERR_clear_error()
        var next = bytes.bindMemory(to: UInt8.self).baseAddress
        guard let pointer = d2i_X509(nil, &next, bytes.count) else {
            throw .malformed(TLSError.fromQueue("certificate").detail)
        }
        let certificate = Certificate(owning: pointer)
        guard consumedAll(next) else { throw .malformed("bytes behind the certificate") }
        return [certificate]
    }

    private func derPrivateKey() throws(Failure) -> PrivateKey {
        ERR_clear_error()
        var next = bytes.bindMemory(to: UInt8.self).baseAddress
        guard let pointer = d2i_AutoPrivateKey(nil, &next, bytes.count) else {
            throw .malformed(TLSError.fromQueue("private key").detail)
        }
        ERR_clear_error()
        let key = PrivateKey(owning: pointer)
        guard consumedAll(next) else { throw .malformed("bytes behind the private key") }
        return key
    }

    private func consumedAll(_ next: UnsafePointer<UInt8>?) -> Bool {
        guard let base = bytes.baseAddress, let next else { return false }
        return UnsafeRawPointer(next) == base + bytes.count
    }
}

/// Stands where a password would be asked for: notes in the `Bool` behind `context` that one was wanted, gives none.
private func refusePassword(
    _ buffer: UnsafeMutablePointer<CChar>?, _ size: CInt, _ isWriting: CInt, _ context: UnsafeMutableRawPointer?
) -> CInt {
    context?.assumingMemoryBound(to: Bool.self).pointee = true
    return -1
}
