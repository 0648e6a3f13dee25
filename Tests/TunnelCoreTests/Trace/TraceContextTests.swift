import Testing
import TunnelCore

@Suite struct TraceContextTests {
    private static let trace = "0af7651916cd43dd8448eb211c80319c", span = "b7ad6b7169203331"

    private func read(_ text: String) -> TraceContext? { TraceContext(Array(text.utf8).span) }

    private func line(_ context: TraceContext) -> String {
        var buffer = ByteBuffer()
        context.appendLine(to: &buffer)
        return String(decoding: buffer.array, as: UTF8.self)
    }

    /// What W3C's text and its test suite take, and what becomes of it.
    @Test(arguments: [
        ("00-\(trace)-\(span)-01", "00-\(trace)-\(span)-01"), ("00-\(trace)-\(span)-00", "00-\(trace)-\(span)-00"),
        // Level 2: made at random. Flags that mean nothing yet are not passed on.
        ("00-\(trace)-\(span)-03", "00-\(trace)-\(span)-03"), ("00-\(trace)-\(span)-02", "00-\(trace)-\(span)-02"),
        ("00-\(trace)-\(span)-ff", "00-\(trace)-\(span)-03"), ("00-\(trace)-\(span)-fc", "00-\(trace)-\(span)-00"),
        // Versions to come, with more behind a hyphen or without.
        ("cc-\(trace)-\(span)-01", "00-\(trace)-\(span)-01"),
        ("cc-\(trace)-\(span)-01-what-the-future-will-be-like", "00-\(trace)-\(span)-01"),
        ("01-\(trace)-\(span)-01-", "00-\(trace)-\(span)-01"), ("fe-\(trace)-\(span)-00-x", "00-\(trace)-\(span)-00"),
        (
            "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01",
            "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01"
        ),
        (
            "00-00000000000000000000000000000001-0000000000000001-01",
            "00-00000000000000000000000000000001-0000000000000001-01"
        ),
        (
            "00-00000000000000010000000000000000-0000000000000001-01",
            "00-00000000000000010000000000000000-0000000000000001-01"
        ),
    ]) func takes(_ text: String, _ sent: String) throws {
        let context = try #require(read(text))
        #expect(line(context) == "traceparent: \(sent)\r\n")
        #expect(read(sent) == context)
        #expect(context.isSampled == sent.hasSuffix("1") || context.isSampled == sent.hasSuffix("3"))
    }

    @Test(arguments: [
        "", "00", "-", "00-\(trace)-\(span)", "00-\(trace)-\(span)-", "00-\(trace)-\(span)-1",
        // Version 00 has exactly these 55 bytes.
        "00-\(trace)-\(span)-01-", "00-\(trace)-\(span)-01-x", "00-\(trace)-\(span)-01.", "00-\(trace)-\(span)-011",
        // A later one has a hyphen behind them.
        "cc-\(trace)-\(span)-01.what-the-future-will-not-be-like", "cc-\(trace)-\(span)-01x", "cc-\(trace)-\(span)-0",
        // ff is no version, and no version has capitals.
        "ff-\(trace)-\(span)-01", "FE-\(trace)-\(span)-01", "0.-\(trace)-\(span)-01", ".0-\(trace)-\(span)-01",
        "0-\(trace)-\(span)-01", "000-\(trace)-\(span)-01",
        "00-00000000000000000000000000000000-\(span)-01", "00-\(trace)-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-\(span)-01", "00-\(trace)-B7AD6B7169203331-01", "00-\(trace)-\(span)-0A",
        "00-.af7651916cd43dd8448eb211c80319c-\(span)-01", "00-0af7651916cd43dd8448eb211c80319.-\(span)-01",
        "00-\(trace)-.7ad6b7169203331-01", "00-\(trace)-b7ad6b716920333.-01", "00-\(trace)-\(span)-.1",
        "00-\(trace)-\(span)-1.", "00-\(trace)c-\(span)-01", "00-0af7651916cd43dd8448eb211c80319-\(span)-01",
        "00-\(trace)-\(span)1-01", "00-\(trace)-b7ad6b716920333-01", "00_\(trace)-\(span)-01", "00-\(trace)_\(span)-01",
        "00-\(trace)-\(span)_01", " 00-\(trace)-\(span)-01", "00-\(trace)-\(span)-01 ", "00-\(trace)-\(span)-01, 00",
        "00-\(trace)-\(span)-\u{E9}", "00--\(trace)\(span)-01",
    ]) func refuses(_ text: String) { #expect(read(text) == nil) }

    @Test func namesItsParts() throws {
        let context = try #require(read("00-\(Self.trace)-\(Self.span)-01"))
        #expect(context.traceID.high == 0x0AF7_6519_16CD_43DD && context.traceID.low == 0x8448_EB21_1C80_319C)
        #expect(context.spanID.value == 0xB7AD_6B71_6920_3331)
        let bytes = context.traceID.bytes
        #expect(
            bytes.indices.map { bytes[$0] }.prefix(3) == [0x0A, 0xF7, 0x65] && bytes[15] == 0x9C && bytes[8] == 0x84)
    }
}

@Suite struct RandomNumbersTests {
    @Test func doNotRepeat() {
        var (first, second) = (RandomNumbers(), RandomNumbers())
        let drawn = (0..<2_000).map { $0 % 2 == 0 ? first.next() : second.next() }
        #expect(Set(drawn).count == drawn.count)
        #expect(Set((0..<1_000).map { _ in first.traceID() }).count == 1_000)
        #expect(Set((0..<1_000).map { _ in first.spanID() }).count == 1_000)
        // Each of the 64 bits is set about every second time.
        for bit in 0..<64 { #expect((800...1_200).contains(drawn.count { $0 >> UInt64(bit) & 1 == 1 })) }
    }
}

@Suite struct RequestIDTests {
    @Test(arguments: [
        ("a", true), ("req_011CSHoEeqs5C35K2UUqR7Fy", true), ("0", true), ("a.b-c~d!", true), ("", false),
        ("a b", false),
        ("a,b", false), ("\u{E9}", false), ("a\tb", false), ("a\"b", false), ("a;b", false), ("a/b", false),
        (String(repeating: "x", count: 128), true), (String(repeating: "x", count: 129), false),
    ]) func takesTokensOfABoundedLength(_ text: String, _ isTaken: Bool) {
        #expect(RequestID.isAcceptable(Array(text.utf8).span) == isTaken)
    }
}
