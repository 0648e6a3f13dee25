import Testing
@testable import TunnelCore

@Suite struct UnixTimeTests {
    /// From `date -u -d @N`, leap years and ends of months, and the clamps at both ends.
    static let vectors: [(Int64, Int64, String)] = [
        (0, 0, "1970-01-01T00:00:00.000Z"), (1, 999_999_999, "1970-01-01T00:00:01.999Z"),
        (-1, 0, "1969-12-31T23:59:59.000Z"), (951_782_399, 0, "2000-02-28T23:59:59.000Z"),
        (951_782_400, 1_000_000, "2000-02-29T00:00:00.001Z"), (951_868_800, 0, "2000-03-01T00:00:00.000Z"),
        (1_795_222_923, 456_789_000, "2026-11-21T01:02:03.456Z"), (4_107_542_399, 0, "2100-02-28T23:59:59.000Z"),
        (4_107_542_400, 0, "2100-03-01T00:00:00.000Z"), (1_709_210_096, 0, "2024-02-29T12:34:56.000Z"),
        (253_402_300_799, 999_000_000, "9999-12-31T23:59:59.999Z"), (253_402_300_800, 0, "9999-12-31T23:59:59.000Z"),
        (-62_135_596_800, 0, "0001-01-01T00:00:00.000Z"), (.min, -5, "0001-01-01T00:00:00.000Z"),
        (.max, .max, "9999-12-31T23:59:59.999Z"),
    ]
    @Test(arguments: vectors) func formats(_ row: (seconds: Int64, nanoseconds: Int64, text: String)) {
        var writer = TimestampWriter()
        #expect(text(&writer, row.seconds, row.nanoseconds) == row.text)
    }

    /// The kept second gives the same text as a fresh writer.
    @Test func cachingChangesNothing() {
        var writer = TimestampWriter()
        for row in Self.vectors + Self.vectors.reversed() {
            #expect(text(&writer, row.0, row.1) == row.2)
            #expect(text(&writer, row.0, 7_000_000).hasSuffix(".007Z"))
        }
    }

    /// Day after day over 800 years, against counting.
    @Test func datesFollowEachOther() {
        var expected = (year: 1600, month: 1, day: 1)
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        var isRight = true
        for days in -135_140..<157_054 {
            let date = TimestampWriter.civil(fromDays: days)
            isRight = isRight && date == expected
            let isLeap = expected.year % 4 == 0 && (expected.year % 100 != 0 || expected.year % 400 == 0)
            expected.day += 1
            if expected.day > lengths[expected.month - 1] + (isLeap && expected.month == 2 ? 1 : 0) {
                expected = (expected.year, expected.month + 1, 1)
            }
            if expected.month > 12 { expected = (expected.year + 1, 1, 1) }
        }
        #expect(isRight)
        #expect(expected == (2400, 1, 1))
    }

    private func text(_ writer: inout TimestampWriter, _ seconds: Int64, _ nanoseconds: Int64) -> String {
        var buffer = ByteBuffer()
        writer.append(UnixTime(seconds: seconds, nanoseconds: nanoseconds), to: &buffer)
        #expect(buffer.count == TimestampWriter.byteCount)
        return String(decoding: buffer.array, as: UTF8.self)
    }
}
