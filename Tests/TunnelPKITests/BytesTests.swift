import Foundation
import Testing

@testable import TunnelPKI

@Suite struct UTCTimeTests {
    @Test(
        arguments: [
            (0, "1970-01-01 00:00:00 UTC"), (-1, "1969-12-31 23:59:59 UTC"), (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_800_000_000, "2027-01-15 08:00:00 UTC"), (4_107_542_399, "2100-02-28 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"), (253_402_300_799, "9999-12-31 23:59:59 UTC"),
        ] as [(Int64, String)])
    func prints(_ row: (seconds: Int64, text: String)) { #expect(UTCTime(row.seconds).description == row.text) }

    /// Foundation knows the calendar too: a day and a bit apart, over eight centuries.
    @Test func agreesWithFoundation() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(secondsFromGMT: 0))
        for step in stride(from: Int64(-4_000_000_000), to: 20_000_000_000, by: 86_400 * 97 + 3_661) {
            let parts = calendar.dateComponents(
                [.year, .month, .day, .hour, .minute, .second], from: Date(timeIntervalSince1970: Double(step)))
            let text = String(
                format: "%d-%02d-%02d %02d:%02d:%02d UTC", parts.year ?? 0, parts.month ?? 0, parts.day ?? 0,
                parts.hour ?? 0, parts.minute ?? 0, parts.second ?? 0)
            #expect(UTCTime(step).description == text)
        }
    }

    /// Far beyond any certificate, but a caller's clock may say anything.
    @Test func survivesExtremes() {
        #expect(UTCTime(.max).description.hasSuffix("UTC") && UTCTime(.min).description.hasSuffix("UTC"))
    }
}
