import Testing

@testable import TunnelPKI

@Suite struct PEMDocumentTests {
    static let block = "-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n"

    @Test(arguments: [
        block, String(block.dropLast()), block.replacing("\n", with: "\r\n"), block.replacing("\n", with: "\r"),
        "\n \n" + block + "\n\n", block.replacing("Zm9v", with: " Z m\t9v "), block.replacing("Zm9v", with: "Zm\n9v"),
        block.replacing("Zm9v", with: "Zm9v\n"), block.replacing("-----\n", with: "-----  \n"),
    ])
    func reads(_ text: String) throws {
        let document = try PEMDocument(bytes(text))
        #expect(
            document.blocks == [
                .init(label: "CERTIFICATE", hasHeaders: false, isEncrypted: false, contents: bytes("foo"))
            ])
        #expect(!document.hasTextAround)
    }

    @Test func noticesTextAround() throws {
        for text in [
            "subject: CN=x\n" + Self.block, Self.block + "text", "a - b\n" + Self.block, "-----\n" + Self.block,
        ] {
            let document = try PEMDocument(bytes(text))
            #expect(document.blocks.count == 1 && document.hasTextAround)
        }
        let neither = try PEMDocument(bytes("hello\n"))
        #expect(neither.blocks.isEmpty && neither.hasTextAround)
        let empty = try PEMDocument([])
        #expect(empty.blocks.isEmpty && !empty.hasTextAround)
    }

    @Test func readsSeveralBlocksInOrder() throws {
        let text = Self.block + "-----BEGIN EC PARAMETERS-----\nZg==\n-----END EC PARAMETERS-----\n" + Self.block
        #expect(try PEMDocument(bytes(text)).blocks.map(\.label) == ["CERTIFICATE", "EC PARAMETERS", "CERTIFICATE"])
    }

    @Test func readsHeaders() throws {
        let text = """
            -----BEGIN RSA PRIVATE KEY-----
            Proc-Type: 4,ENCRYPTED
            DEK-Info: AES-256-CBC,0011

            Zm9v
            -----END RSA PRIVATE KEY-----
            """
        let blocks = try PEMDocument(bytes(text)).blocks
        #expect(blocks.count == 1 && blocks[0].isEncrypted && blocks[0].hasHeaders && blocks[0].isPrivateKey)
        #expect(blocks[0].contents == bytes("foo"))
        let plain = try PEMDocument(bytes(Self.block.replacing("Zm9v", with: "Comment: mine\n\nZm9v"))).blocks
        #expect(!plain[0].isEncrypted && plain[0].hasHeaders)
    }

    static let malformed = [
        "-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nZm9v\n",
        "-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE----\n",
        "-----BEGIN CERTIFICATE-----\nZm9v\n-----END X509 CRL-----\n",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nZm9\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nZm9=v\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nZm9!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nA: b\nZm9v\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n" + block,
        " " + block,
        "x" + block,
        "-----END CERTIFICATE-----\n" + block,
        "-----BEGIN -----\nZm9v\n-----END -----\n",
        "-----BEGIN A-B-----\nZm9v\n-----END A-B-----\n",
        "-----BEGIN CERTIFICATE----- Zm9v -----END CERTIFICATE-----",
        "\u{FEFF}" + block,
    ]
    @Test(arguments: malformed) func refuses(_ text: String) {
        #expect(throws: PKIError(.malformed, "")) { try PEMDocument(bytes(text)) }
    }

    /// A file cut off anywhere inside a block is an error, never a shorter document that looks whole.
    @Test func refusesEveryCut() throws {
        let whole = bytes(Self.block)
        for count in 1..<whole.count - 1 {
            #expect(throws: PKIError(.malformed, "")) { try PEMDocument(Array(whole[..<count])) }
            #expect(throws: PKIError(.malformed, "")) { try PEMDocument(whole + whole[..<count]) }
        }
        // A rule of dashes that a line end closes is text.
        #expect(try PEMDocument(whole + bytes("-----\n")).blocks.count == 1)
    }

    /// Line numbers and the empty line after headers mean the same with every kind of line end.
    @Test(arguments: ["\n", "\r\n", "\r"]) func countsLines(_ end: String) throws {
        let text = "\nnotes\n-----BEGIN CERTIFICATE-----\nA: b\n\nZm9v\nZm9!\n-----END CERTIFICATE-----\n"
        let broken = #expect(throws: PKIError.self) { try PEMDocument(bytes(text.replacing("\n", with: end))) }
        #expect(broken?.reason == "line 7: not base64")
        let unended = text.replacing("A: b\n\n", with: "A: b\n")
        let error = #expect(throws: PKIError.self) { try PEMDocument(bytes(unended.replacing("\n", with: end))) }
        #expect(error?.reason == "line 5: an empty line is missing after the headers")
    }

    @Test func limitsSize() throws {
        let padding = [UInt8](repeating: 0x20, count: PEMDocument.maxBytes - Self.block.utf8.count)
        let atLimit = bytes(Self.block) + padding
        #expect(try PEMDocument(atLimit).blocks.count == 1)
        #expect(throws: PKIError(.tooLarge, "")) { try PEMDocument(atLimit + [0x20]) }
    }

    @Test func encodes() {
        #expect(PEMDocument.encode(label: "CERTIFICATE", contents: bytes("foo")) == bytes(Self.block))
    }

    @Test func wipes() throws {
        var document = try PEMDocument(bytes(Self.block))
        document.wipe()
        #expect(document.blocks[0].contents.isEmpty)
    }
}

/// RFC 4648 §10 and the ways base64 can be wrong.
@Suite struct Base64Tests {
    static let vectors = [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ]

    @Test(arguments: vectors) func decodesVectors(_ vector: (plain: String, text: String)) {
        #expect(Base64.decode(bytes(vector.text)) == bytes(vector.plain))
    }

    @Test(arguments: vectors) func encodesVectors(_ vector: (plain: String, text: String)) {
        var output: [UInt8] = []
        Base64.encodeLines(bytes(vector.plain), into: &output)
        #expect(output == bytes(vector.text.isEmpty ? "" : vector.text + "\n"))
    }

    /// The last ones OpenSSL by itself would take: white space at the ends, an end of text, padding in the midst.
    @Test(arguments: [
        "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zg=v", "Zm9v=", "Zm-v", "Zm_v", "Zm\u{7f}v", "Zm9 ", "Zm9\0",
        "Zm9v    ", "    Zm9v", "Zm9v\n\n\n\n", "Zm9v----", "====Zm9v", "Zm==Zm9v",
    ])
    func refuses(_ text: String) { #expect(Base64.decode(bytes(text)) == nil) }

    /// Every length to beyond three lines comes back, in lines of 64.
    @Test func roundTrips() {
        for count in 0...150 {
            let plain = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ count) }
            var text: [UInt8] = []
            Base64.encodeLines(plain, into: &text)
            let lines = text.split(separator: UInt8(ascii: "\n"))
            #expect(lines.dropLast().allSatisfy { $0.count == 64 } && (lines.last?.count ?? 0) <= 64)
            #expect(Base64.decode(Array(lines.joined())) == plain)
        }
    }
}
