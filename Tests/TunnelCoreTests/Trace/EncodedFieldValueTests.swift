import Testing
import TunnelCore

@Suite struct EncodedFieldValueTests {
    private func decode(_ text: String, limit: Int = 1_025) -> String? {
        let bytes = Array(text.utf8)
        guard let payload = EncodedFieldValue.payload(of: 0..<bytes.count, in: bytes.span) else { return nil }
        return EncodedFieldValue.decode(payload, in: bytes.span, limit: limit)
            .map { String(decoding: $0, as: UTF8.self) }
    }

    @Test(arguments: [
        ("=?base64?SGVsbG8=?=", "Hello"), ("=?base64??=", ""), ("=?base64?w6k=?=", "\u{E9}"),
        ("=?base64?4oKs8J+YgA==?=", "\u{20AC}\u{1F600}"), ("=?base64?AAo=?=", "\0\n"), ("=?base64?YWJj?=", "abc"),
    ]) func decodes(_ text: String, _ value: String) { #expect(decode(text) == value) }

    /// Plain values, and what is no base64 with its padding.
    @Test(arguments: [
        "add", "", "=?base64?", "=?base64?=", "?=", "=?BASE64?SGVsbG8=?=", "=?Base64?SGVsbG8=?=",
        "x=?base64?SGVsbG8=?=",
        "=?base64?SGVsbG8=?= ", "=?base64?SGVsbG8?=", "=?base64?SGVs bG8=?=", "=?base64?S===?=", "=?base64?====?=",
        "=?base64?SG=sbG8=?=", "=?base64?SGVs-_8=?=", "=?base64?SGVsbG8=\n?=", "=?base64?SGVsbG8=SGVs?=",
    ]) func refuses(_ text: String) { #expect(decode(text) == nil) }

    @Test func decodesNoMoreThanIsAskedFor() {
        let payload = String(repeating: "QUJD", count: 1_000)
        #expect(decode("=?base64?\(payload)?=", limit: 3)?.utf8.count == 3)
        #expect(decode("=?base64?\(payload)?=", limit: 4)?.utf8.count == 6)
        #expect(decode("=?base64?\(payload)?=", limit: 3_000)?.utf8.count == 3_000)
        #expect(decode("=?base64?\(payload)QQ==?=", limit: 3_000)?.utf8.count == 3_000)
    }
}
