/// The checks of a certificate's file as a file: PEM, one block, no private key, not too large.
struct CertificateFile {
    /// "8 kB" can mean either; the file that fits both is safe.
    static let maxUploadBytes = 8 * 1024
    static let safeUploadBytes = 8 * 1000

    private let bytes: [UInt8]
    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// - Returns: the certificates that could be read, in order, and what is wrong with the file.
    func read(in context: PolicyContext) -> (certificates: [Certificate], findings: [Finding]) {
        var findings = checkSize(context) + checkPrivateKey(context) + checkLineEnds(context)
        var document: PEMDocument
        do { document = try PEMDocument(bytes) } catch {
            return ([], findings + context.error(.pem, error.reason, remedy: "write the certificate out again as PEM"))
        }
        defer { document.wipe() }
        var certificates: [Certificate] = []
        for block in document.blocks where block.isCertificate {
            do { certificates.append(try Certificate(der: block.contents)) } catch {
                findings += context.error(
                    .pem, "a CERTIFICATE block cannot be read: \(error.reason)",
                    remedy: "write the certificate out again as PEM")
            }
            // Go's reader of certificate pools passes over such a block without a word.
            guard block.hasHeaders else { continue }
            findings += context.error(
                .pem, "the CERTIFICATE block has headers, for which readers skip it",
                remedy: "keep only its base64 lines")
        }
        findings += checkBlocks(document, context)
        if context.document == .ca, document.hasTextAround, !document.blocks.isEmpty {
            findings += context.warning(
                .textAround, "there is text outside the PEM block, which the upload may refuse",
                remedy: "keep only the block: `openssl x509 -in FILE -out CLEAN`")
        }
        return (certificates, findings)
    }

    private func checkSize(_ context: PolicyContext) -> [Finding] {
        // Only the CA's file is uploaded.
        guard context.document == .ca, bytes.count > Self.safeUploadBytes else { return [] }
        let remedy = "keep only the certificate's block, or make a CA with a smaller key such as ECDSA P-256"
        return bytes.count > Self.maxUploadBytes
            ? context.error(.size, "the file has \(bytes.count) bytes", remedy: remedy)
            : context.warning(.size, "the file has \(bytes.count) bytes, which is close to 8 kB", remedy: remedy)
    }

    /// Looks at the raw bytes, so that a key shows even in a file whose PEM is otherwise broken.
    private func checkPrivateKey(_ context: PolicyContext) -> [Finding] {
        let mark = Array("PRIVATE KEY-----".utf8)
        let hasKey = bytes.indices.contains { index in
            bytes[index] == mark[0] && bytes.count - index >= mark.count
                && bytes[index..<index + mark.count].elementsEqual(mark)
        }
        guard hasKey else { return [] }
        return context.error(
            .noPrivateKey, "the file holds a private key",
            remedy: "keep the key in a file of its own, and replace it if the file has been handed on")
    }

    /// A lone CR ends a line for the proxy, which reads a server's file so; the upload's reader and OpenSSL see one long
    /// line and no block.
    private func checkLineEnds(_ context: PolicyContext) -> [Finding] {
        // The last of several, so that white space before an LF is none.
        let isAlone = zip(bytes, bytes.dropFirst()).contains { $0 == 0x0D && $1 != 0x0D && $1 != 0x0A }
        guard context.document == .ca, isAlone else { return [] }
        return context.error(
            .pem, "a line ends with CR alone, which most readers take for no end",
            remedy: "end the lines with LF: `tr '\\r' '\\n' <FILE >CLEAN`")
    }

    private func checkBlocks(_ document: PEMDocument, _ context: PolicyContext) -> [Finding] {
        let count = document.blocks.count(where: \.isCertificate)
        let foreign = document.blocks.filter { !$0.isCertificate && !$0.isPrivateKey }.map(\.label)
        if count == 0 {
            return context.error(
                .pem, foreign.isEmpty ? noBlock : "the file holds \(foreign.joined(separator: ", ")), no CERTIFICATE",
                remedy: foreign.contains { $0.hasSuffix("CERTIFICATE REQUEST") }
                    ? "a request must first be signed by the CA; give the certificate that comes out"
                    : "give a file with a `-----BEGIN CERTIFICATE-----` block")
        }
        if count == 1, foreign.isEmpty { return [] }
        let what = "the file holds \(count) certificates" + foreign.map { " and a block \($0)" }.joined()
        // A server may send more than it must; an upload may not hold more.
        return context.document == .ca
            ? context.error(.singleCertificate, what, remedy: "keep only the CA's own block")
            : context.warning(.singleCertificate, what, remedy: "keep only the server's own block")
    }

    /// Why a file has no block: the usual mistakes by name.
    private var noBlock: String {
        if bytes.isEmpty { return "the file is empty" }
        if (try? Certificate(der: bytes)) != nil {
            return "the file is DER, not PEM (`openssl x509 -inform DER -in FILE -out PEM` converts it)"
        }
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) { return "the file is UTF-16 text" }
        return "the file holds no PEM block"
    }
}
