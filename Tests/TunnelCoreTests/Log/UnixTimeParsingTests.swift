import Testing
import TunnelCore

@Suite struct UnixTimeParsingTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0, 0), ("2026-07-01T12:00:00.000Z", 1_782_907_200, 0),
        ("2024-10-30T23:58:27.427722Z", 1_730_332_707, 427_722_000), ("2026-07-01t12:00:00z", 1_782_907_200, 0),
        ("2026-07-01 12:00:00Z", 1_782_907_200, 0), ("2026-07-01T12:00:00.1Z", 1_782_907_200, 100_000_000),
        ("2026-07-01T12:00:00.123456789Z", 1_782_907_200, 123_456_789),
        ("2026-07-01T14:30:00+02:30", 1_782_907_200, 0), ("2026-07-01T02:00:00-10:00", 1_782_907_200, 0),
        ("2026-07-01T12:00:00-00:00", 1_782_907_200, 0), ("2024-02-29T00:00:00Z", 1_709_164_800, 0),
        ("2000-02-29T00:00:00Z", 951_782_400, 0), ("2016-12-31T23:59:60Z", 1_483_228_800, 0),
        ("1969-12-31T23:59:59Z", -1, 0), ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
        ("0000-01-01T00:00:00Z", -62_167_219_200, 0), ("9999-12-31T23:59:59Z", 253_402_300_799, 0),
    ])
    func readsRFC3339(_ row: (text: String, seconds: Int64, nanoseconds: Int64)) {
        #expect(UnixTime(rfc3339: row.text) == UnixTime(seconds: row.seconds, nanoseconds: row.nanoseconds))
    }

    @Test(arguments: [
        "", "2026-07-01", "2026-07-01T12:00:00", "2026-07-01T12:00Z", "2026-07-01T12:00:00.Z",
        "2026-07-01T12:00:00.1234567890Z", "2026-07-01T12:00:00+02", "2026-07-01T12:00:00+0230",
        "2026-07-01T12:00:00+24:00", "2026-07-01T12:00:00+00:60", "2026-07-01T12:00:00ZZ", "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-06-31T00:00:00Z",
        "2026-06-00T00:00:00Z", "2026-07-01T24:00:00Z", "2026-07-01T12:60:00Z", "2026-07-01T12:00:61Z",
        "26-07-01T12:00:00Z", "+026-07-01T12:00:00Z", "2026-07-01T12:00:00.-1Z", "２026-07-01T12:00:00Z", "1782907200",
    ])
    func refusesRFC3339(_ text: String) { #expect(UnixTime(rfc3339: text) == nil) }

    /// Every day from 1600 to 2400 is one after the day before, so no month or leap year is counted wrong.
    @Test func daysFollowEachOther() throws {
        var expected = try #require(UnixTime(rfc3339: "1599-12-31T00:00:00Z")).seconds
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        for year in 1600...2400 {
            for month in 1...12 {
                for day in 1...31 {
                    guard let time = UnixTime(rfc3339: "\(year)-\(two(month))-\(two(day))T00:00:00Z") else {
                        #expect(day > 28)
                        continue
                    }
                    expected += 86_400
                    #expect(time.seconds == expected)
                }
            }
        }
    }

    private static let now = UnixTime(seconds: 1_800_000_000)

    /// RFC 9110 §5.6.7: what senders must use, and what receivers must know besides.
    @Test(
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777), ("Wed Nov 16 08:49:37 1994", 784_975_777),
            // Two digits of a year: at most 50 years after 2027.
            ("Friday, 15-Jan-27 08:00:00 GMT", 1_800_000_000), ("Friday, 01-Jan-77 00:00:00 GMT", 3_376_684_800),
            ("Sunday, 01-Jan-78 00:00:00 GMT", 252_460_800),
        ] as [(String, Int64)])
    func readsHTTPDate(_ row: (text: String, seconds: Int64)) {
        #expect(UnixTime(httpDate: row.text, now: Self.now) == UnixTime(seconds: row.seconds))
    }

    @Test(arguments: [
        "", "Sunday, 06-Nov-1994 08:49:37 GMT", "Sunday, 6-Nov-94 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37",
        "Sun Nov 31 08:49:37 1994", "Sun Nov 6 08:49:37 94", "Sun Nov  6 08:49:37 1994 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37.5 GMT", "Sun, 06 Nov 19940 08:49:37 GMT",
    ])
    func refusesHTTPDate(_ text: String) { #expect(UnixTime(httpDate: text, now: Self.now) == nil) }

    @Test(arguments: [Int64.min, -1, 0, Int64.max]) func anyClockWillDo(_ now: Int64) {
        #expect(UnixTime(httpDate: "Sunday, 06-Nov-94 08:49:37 GMT", now: UnixTime(seconds: now)) != nil)
    }
}
