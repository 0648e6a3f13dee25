/// A point in time as the system's real-time clock gives it. TunnelCore has no clock; the caller hands the time in.
public struct UnixTime: Hashable, Sendable {
    /// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
    public let seconds: Int64
    /// Nanoseconds in the second, 0...999,999,999.
    public let nanoseconds: Int64

    public init(seconds: Int64, nanoseconds: Int64 = 0) { (self.seconds, self.nanoseconds) = (seconds, nanoseconds) }
}

/// Writes times as `2026-11-21T01:02:03.456Z` (RFC 3339 §5.6, UTC). Most lines fall into the second of the line before,
/// so the text of the last second is kept and only its milliseconds are written anew.
struct TimestampWriter: Sendable {
    static let byteCount = 24
    /// 0001-01-01 and the last second of 9999: outside, the year has not four digits, and the time is clamped.
    private static let range: ClosedRange<Int64> = -62_135_596_800...253_402_300_799

    private var second: Int64?
    private var text = Array("0000-00-00T00:00:00.000Z".utf8)

    mutating func append(_ time: UnixTime, to buffer: inout ByteBuffer) {
        if second != time.seconds {
            setSecond(min(max(time.seconds, Self.range.lowerBound), Self.range.upperBound))
            second = time.seconds
        }
        write(Int(min(max(time.nanoseconds / 1_000_000, 0), 999)), digits: 3, at: 20)
        buffer.append(text)
    }

    private mutating func setSecond(_ seconds: Int64) {
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let rest = Int(seconds - days * 86_400)
        let (year, month, day) = Self.civil(fromDays: Int(days))
        write(year, digits: 4, at: 0)
        write(month, digits: 2, at: 5)
        write(day, digits: 2, at: 8)
        write(rest / 3_600, digits: 2, at: 11)
        write(rest / 60 % 60, digits: 2, at: 14)
        write(rest % 60, digits: 2, at: 17)
    }

    private mutating func write(_ value: Int, digits: Int, at start: Int) {
        var value = value
        for index in stride(from: start + digits - 1, through: start, by: -1) {
            text[index] = UInt8(truncatingIfNeeded: value % 10) + 0x30
            value /= 10
        }
    }

    /// The date of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
    ///
    /// The year is taken to begin in March, so that the leap day is its last: then the months' lengths follow
    /// 153 days per five months, and a year is 365 days plus the leap days of its place in the cycle of 400 years.
    static func civil(fromDays days: Int) -> (year: Int, month: Int, day: Int) {
        // 719,468 days lie between 0000-03-01 and 1970-01-01; a cycle has 146,097.
        let shifted = days + 719_468
        let cycle = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfCycle = shifted - cycle * 146_097
        let yearOfCycle = (dayOfCycle - dayOfCycle / 1_460 + dayOfCycle / 36_524 - dayOfCycle / 146_096) / 365
        let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        return (yearOfCycle + cycle * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}

extension UnixTime: CustomStringConvertible {
    /// For example `2026-11-21T01:02:03.456Z` (RFC 3339).
    public var description: String {
        var buffer = ByteBuffer()
        var writer = TimestampWriter()
        writer.append(self, to: &buffer)
        return String(decoding: buffer.array, as: UTF8.self)
    }

    /// For example `2026-11-21T01:02:03Z`.
    package var toTheSecond: String { "\(description.prefix(19))Z" }
}
