import Testing
import TunnelCore

@Suite struct BodyDecoderTests {
    struct Result: Equatable {
        var payload: [UInt8] = []
        var trailers: [UInt8] = []
        var consumed = 0
        var isComplete = false
        var error: String?
    }

    /// Decodes `source` in pieces that end at `cuts`, each in memory of its own so that reading past it would be seen.
    static func decode(
        _ source: [UInt8], cuts: [Int] = [], _ framing: BodyFraming = .chunked, limits: HeadLimits = HeadLimits()
    ) -> Result {
        var decoder = BodyDecoder(framing, trailerLimits: limits)
        var result = Result()
        var start = 0
        do {
            for end in cuts + [source.count] where !decoder.isComplete {
                var piece = Array(source[start..<end])
                let (consumed, produced) = try piece.withUnsafeMutableBytes { try decoder.decode(inPlace: $0) }
                #expect(produced <= consumed)
                #expect(consumed == piece.count || decoder.isComplete)
                #expect(piece[consumed...] == source[(start + consumed)..<end])
                result.payload += piece[..<produced]
                result.consumed += consumed
                start = end
            }
        } catch let error as HTTPError { result.error = error.description } catch { result.error = "other" }
        result.trailers = decoder.trailers
        result.isComplete = decoder.isComplete
        // On an error the bytes before it depend on the pieces; only the error is to be the same.
        if let error = result.error { result = Result(error: error) }
        return result
    }

    static func decode(_ source: String, _ framing: BodyFraming = .chunked) -> Result {
        decode(HTTPSamples.bytes(source), framing)
    }

    static let bodies: [(source: String, payload: String, trailers: String)] = [
        ("0\r\n\r\n", "", ""), ("5\r\nhello\r\n0\r\n\r\n", "hello", ""),
        ("5\r\nhello\r\n1\r\n!\r\n000\r\n\r\n", "hello!", ""),
        ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", ""),
        ("0000000000000001\r\nx\r\n0\r\n\r\n", "x", ""), ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", ""),
        ("1;a\r\nx\r\n0;b=\"c;\u{E9}\t d\"\r\n\r\n", "x", ""),
        ("1 ; a = b\r\nx\r\n0\t;\ta\t=\t\"\"\r\n\r\n", "x", ""),
        ("1;a;b=c;d=\"e\";f\r\nx\r\n0;a=\"\\\"\\\\;\\\u{E9}\" ;b ;c=d ;e\r\n\r\n", "x", ""),
        ("1\r\nx\r\n0\r\nX-Sum: 1\r\nx-other:\u{E9}\r\n\r\n", "x", "X-Sum: 1\r\nx-other:\u{E9}\r\n"),
        (
            "0\r\nHost: h\r\nX: 1\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\nY: \r\ncookie: 1\r\n\r\n", "",
            "X: 1\r\nY: \r\n"
        ),
    ]

    @Test(arguments: bodies) func decodes(_ row: (source: String, payload: String, trailers: String)) {
        let source = HTTPSamples.bytes(row.source)
        let expected = Result(
            payload: HTTPSamples.bytes(row.payload), trailers: HTTPSamples.bytes(row.trailers), consumed: source.count,
            isComplete: true)
        #expect(Self.decode(source + HTTPSamples.bytes("GET / next")) == expected)
        for cut in 0...source.count { #expect(Self.decode(source, cuts: [cut]) == expected) }
        #expect(Self.decode(source, cuts: Array(0...source.count)) == expected)
    }

    /// A prefix is never an error and never complete.
    @Test(arguments: bodies) func waitsForTheEnd(_ row: (source: String, payload: String, trailers: String)) {
        let source = HTTPSamples.bytes(row.source)
        for count in 0..<source.count {
            let result = Self.decode(Array(source[..<count]))
            #expect(result.error == nil && !result.isComplete && result.consumed == count && result.trailers == [])
        }
    }

    static let refused: [(source: String, rule: String)] = [
        ("\r\n", "without a size"), ("x", "without a size"), (" 5", "without a size"), ("+5", "without a size"),
        ("-1", "without a size"), (";a", "without a size"), ("g", "without a size"), ("\n", "without a size"),
        ("0x5", "malformed chunk size"), ("5 \r", "cut short"), ("5 x", "malformed chunk ext"),
        ("5\t\r", "cut short"), ("5,5", "malformed chunk size"), ("5\n", "malformed chunk size"),
        ("5 \n", "control byte in a chunk"),
        // Extensions (RFC 9112 §7.1.1).
        ("5;\r", "cut short"), ("5; \r", "cut short"), ("5;a;\r", "cut short"), ("5;a \r", "cut short"),
        ("5;a=\r", "cut short"), ("5;a= \r", "cut short"), ("5;a=b \r", "cut short"), ("5;a=\"\r", "cut short"),
        ("5;a=\"b\r", "cut short"), ("5;a=\"\\\r", "cut short"), ("5;a=\"\\\"\r", "cut short"),
        ("5;a=\"b\" \r", "cut short"), ("5;;a", "malformed chunk ext"), ("5; ;", "malformed chunk ext"),
        ("5;=", "malformed chunk ext"), ("5;\"", "malformed chunk ext"), ("5;a=;", "malformed chunk ext"),
        ("5;a==", "malformed chunk ext"), ("5;a=b=", "malformed chunk ext"), ("5;a=b\"", "malformed chunk ext"),
        ("5;a b", "malformed chunk ext"), ("5;a=b c", "malformed chunk ext"), ("5;a=\"b\"c", "malformed chunk ext"),
        ("5;a=\"b\"\"", "malformed chunk ext"), ("5;a,", "malformed chunk ext"), ("5;a=b/", "malformed chunk ext"),
        ("5;\u{E9}", "malformed chunk ext"), ("5;a\"", "malformed chunk ext"),
        ("5;a=\"\n", "control byte in a chunk"), ("5;a=\"\\\n", "control byte in a chunk"),
        ("5;a=\"\u{0}", "control byte in a chunk"),
        ("5\u{0}", "malformed chunk size"), ("5h", "malformed chunk size"), ("5_0", "malformed chunk size"),
        ("5\rx", "CRLF"), ("5\r\r\n", "CRLF"), ("1\r\nxx", "CRLF"), ("1\r\nx\n", "CRLF"), ("1\r\nx\rx", "CRLF"),
        ("1\r\nx0\r\n", "CRLF"), ("0\r\n\rx", "CRLF"), ("0\r\nA: b\rx", "CRLF"), ("1\r\nx\r\n\r\n", "without a size"),
        ("8000000000000000", "too large"), ("FFFFFFFFFFFFFFFF", "too large"), ("00000000000000001", "too large"),
        ("10000000000000000", "too large"), ("7FFFFFFFFFFFFFFF0", "too large"),
        ("1;a\n", "control byte in a chunk"), ("1;\u{0}", "control byte in a chunk"),
        ("1;\u{7F}", "control byte in a chunk"),
        ("1;a\rb", "CRLF"), ("0\r\n\n", "control byte in a trailer"), ("0\r\nA: b\n", "control byte in a trailer"),
        ("0\r\nA: \u{0}", "control byte in a trailer"), ("0\r\nA: \u{7F}", "control byte in a trailer"),
        ("0\r\n A: b\r\n", "folded"), ("0\r\nA: b\r\n c\r\n", "folded"), ("0\r\nA : b\r\n", "space in or after"),
        ("0\r\n: b\r\n", "empty field name"), ("0\r\nA\r\n", "without a colon"), ("0\r\nA(: b\r\n", "invalid byte"),
        ("0\r\nGET / HTTP/1.1\r\n", "space in or after"),
    ]

    @Test(arguments: refused) func refuses(_ row: (source: String, rule: String)) throws {
        let source = HTTPSamples.bytes(row.source)
        let whole = Self.decode(source)
        #expect(try #require(whole.error).contains(row.rule), "\(whole)")
        #expect(try #require(whole.error).hasPrefix("http 400"))
        for cut in 0...source.count { #expect(Self.decode(source, cuts: [cut]) == whole) }
        #expect(Self.decode(source, cuts: Array(0...source.count)) == whole)
    }

    @Test func staysRefused() {
        var decoder = BodyDecoder(.chunked)
        var bytes = HTTPSamples.bytes("x")
        #expect(throws: HTTPError.self) { try bytes.withUnsafeMutableBytes { try decoder.decode(inPlace: $0) } }
        bytes = HTTPSamples.bytes("0\r\n\r\n")
        #expect(throws: HTTPError.self) { try bytes.withUnsafeMutableBytes { try decoder.decode(inPlace: $0) } }
        #expect(throws: HTTPError.self) { try decoder.endOfInput() }
        #expect(!decoder.isComplete)
    }

    @Test func largestChunkIsTaken() {
        let result = Self.decode("7FFFFFFFFFFFFFFF\r\nabc")
        #expect(result.error == nil && result.payload == HTTPSamples.bytes("abc") && !result.isComplete)
    }

    @Test func extensionsAreLimited() {
        func chunk(_ count: Int) -> String { "1;" + String(repeating: "a", count: count - 1) + "\r\nx\r\n" }
        let perChunk = BodyDecoder.maxExtensionBytesPerChunk, whole = BodyDecoder.maxExtensionBytes
        #expect(Self.decode(chunk(perChunk) + chunk(perChunk) + "0\r\n\r\n").isComplete)
        #expect(Self.decode(chunk(perChunk + 1)).error?.contains("extensions too large") == true)
        let full = String(repeating: chunk(perChunk), count: whole / perChunk)
        #expect(Self.decode(full + "0\r\n\r\n").isComplete)
        #expect(Self.decode(full + "0;a\r\n\r\n").error?.contains("extensions too large") == true)
    }

    @Test func trailersAreLimited() {
        let source = HTTPSamples.bytes("0\r\nA: b\r\nHost: c\r\n\r\n")
        func decode(_ bytes: Int, _ fields: Int) -> Result {
            Self.decode(source, limits: HeadLimits(maxBytes: bytes, maxFields: fields))
        }
        #expect(decode(15, 2).isComplete)
        #expect(decode(14, 2).error?.hasPrefix("http 431") == true)
        #expect(decode(15, 1).error?.hasPrefix("http 431") == true)
    }

    @Test(arguments: [
        "Connection", "Keep-Alive", "TE", "Upgrade", "Proxy-Authorization", "HOST", "trailer", "Authorization",
        "Set-Cookie",
        "Content-Encoding", "Content-Type", "Content-Range", "Cache-Control", "If-None-Match", "Max-Forwards",
        "Location",
        "X-Forwarded-For", "Expect", "Range", "WWW-Authenticate", "Retry-After", "Via",
    ]) func dropsFromTrailers(_ name: String) {
        let result = Self.decode("0\r\nA: 1\r\n\(name): 2\r\nServer-Timing: 3\r\n\r\n")
        #expect(result.trailers == HTTPSamples.bytes("A: 1\r\nServer-Timing: 3\r\n"))
    }

    @Test(
        arguments: [
            ("", .none, "", true), ("abc", .none, "", true), ("abc", .length(0), "", true),
            ("abc", .length(2), "ab", true),
            ("abc", .length(3), "abc", true), ("abc", .length(4), "abc", false),
            ("abc", .length(UInt64(Int64.max)), "abc", false), ("0\r\n\r\n", .untilClose, "0\r\n\r\n", false),
        ] as [(String, BodyFraming, String, Bool)])
    func otherFramings(_ source: String, _ framing: BodyFraming, _ payload: String, _ isComplete: Bool) {
        let source = HTTPSamples.bytes(source)
        let whole = Self.decode(source, framing)
        #expect(whole.payload == HTTPSamples.bytes(payload) && whole.isComplete == isComplete)
        #expect(whole.consumed == whole.payload.count)
        for cut in 0...source.count { #expect(Self.decode(source, cuts: [cut], framing) == whole) }
    }

    @Test(
        arguments: [
            (.none, "", true), (.length(2), "ab", true), (.length(3), "ab", false), (.untilClose, "ab", true),
            (.chunked, "0\r\n\r\n", true), (.chunked, "0\r\n\r", false), (.chunked, "", false),
            (.chunked, "2\r\nab\r\n", false),
        ] as [(BodyFraming, String, Bool)])
    func endOfInput(_ framing: BodyFraming, _ source: String, _ isLegal: Bool) throws {
        var decoder = BodyDecoder(framing)
        var bytes = HTTPSamples.bytes(source)
        _ = try bytes.withUnsafeMutableBytes { try decoder.decode(inPlace: $0) }
        if isLegal {
            try decoder.endOfInput()
            #expect(decoder.isComplete)
        } else {
            #expect(throws: HTTPError(status: 400, reason: "")) { try decoder.endOfInput() }
        }
    }
}
