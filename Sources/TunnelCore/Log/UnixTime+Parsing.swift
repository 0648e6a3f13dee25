extension UnixTime {
    /// Reads `2026-07-01T12:00:00.000Z` (RFC 3339 §5.6): none to nine digits of a second's fraction, `Z` or an offset,
    /// either case of the letters, a space for the `T`. A leap second is the second after it.
    ///
    /// Written by hand because FoundationEssentials keeps a date in floating point, which loses nanoseconds.
    ///
    /// - Returns: `nil` for anything else, such as a day that the month does not have.
    package init?(rfc3339 text: String) {
        var reader = DigitReader(text)
        guard let year = reader.number(4), reader.skip("-"), let month = reader.number(2), reader.skip("-"),
            let day = reader.number(2), reader.skip("Tt "),
            let seconds = Self.seconds(year, month, day, &reader)
        else { return nil }
        var nanoseconds: Int64 = 0
        if reader.skip(".") {
            guard let fraction = reader.fraction() else { return nil }
            nanoseconds = fraction
        }
        var offset: Int64 = 0
        if !reader.skip("Zz") {
            let isEast = reader.skip("+")
            guard isEast || reader.skip("-"), let hours = reader.number(2), hours <= 23, reader.skip(":"),
                let minutes = reader.number(2), minutes <= 59
            else { return nil }
            offset = (hours * 60 + minutes) * (isEast ? 60 : -60)
        }
        guard reader.isAtEnd else { return nil }
        self.init(seconds: seconds - offset, nanoseconds: nanoseconds)
    }

    /// Reads the three forms of RFC 9110 §5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`, which senders must use, and those that
    /// receivers must know all the same, `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`. The day of the
    /// week is not looked at.
    ///
    /// - Parameter now: a year of two digits is at most 50 years after it.
    package init?(httpDate text: String, now: UnixTime) {
        let parts = text.split(separator: " ")
        let fields: (day: Substring, month: Substring, year: Substring, clock: Substring)
        switch parts.count {
        case 6
        where parts[0].utf8.count == 4 && parts[0].hasSuffix(",") && parts[5] == "GMT" && parts[1].utf8.count == 2:
            fields = (parts[1], parts[2], parts[3], parts[4])
        case 4 where parts[0].hasSuffix("day,") && parts[3] == "GMT":
            let date = parts[1].split(separator: "-", omittingEmptySubsequences: false)
            guard date.count == 3, date[0].utf8.count == 2, date[2].utf8.count == 2 else { return nil }
            fields = (date[0], date[1], date[2], parts[2])
        case 5 where parts[0].utf8.count == 3 && parts[4].utf8.count == 4:
            fields = (parts[2], parts[1], parts[4], parts[3])
        default: return nil
        }
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        var (dayReader, yearReader) = (DigitReader(String(fields.day)), DigitReader(String(fields.year)))
        var clock = DigitReader(String(fields.clock))
        let isShort = fields.year.utf8.count == 2
        guard let month = months.firstIndex(of: String(fields.month)),
            let day = dayReader.number(fields.day.utf8.count == 1 ? 1 : 2), dayReader.isAtEnd,
            let year = yearReader.number(isShort ? 2 : 4), yearReader.isAtEnd,
            let seconds = Self.seconds(
                isShort ? Self.year(ofTwoDigits: year, now: now) : year, Int64(month) + 1, day, &clock), clock.isAtEnd
        else { return nil }
        self.init(seconds: seconds)
    }

    /// RFC 9110 §5.6.7: what seems to be more than 50 years ahead is the last year that ended so.
    private static func year(ofTwoDigits digits: Int64, now: UnixTime) -> Int64 {
        // 31,556,952 seconds are a year on average; days more or less count nowhere here.
        let current = 1970 + max(0, min(now.seconds, 253_402_300_799)) / 31_556_952
        let year = current - current % 100 + digits
        return year > current + 50 ? year - 100 : year
    }

    /// Reads `08:49:37` and adds it to the day.
    private static func seconds(
        _ year: Int64, _ month: Int64, _ day: Int64, _ reader: inout DigitReader
    ) -> Int64? {
        guard let hour = reader.number(2), hour <= 23, reader.skip(":"), let minute = reader.number(2), minute <= 59,
            reader.skip(":"), let second = reader.number(2), second <= 60,
            let days = days(year, month, day)
        else { return nil }
        return ((days * 24 + hour) * 60 + minute) * 60 + second
    }

    /// Days from 1970-01-01 in the proleptic Gregorian calendar; `nil` for a date that does not exist.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64? {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths: [Int64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard (1...12).contains(month), (1...lengths[Int(month) - 1]).contains(day) else { return nil }
        let before = year - 1
        let leapDays = year == 0 ? -1 : before / 4 - before / 100 + before / 400
        // 719,162 days lie between 0001-01-01 and 1970-01-01.
        return before * 365 + leapDays + lengths[..<(Int(month) - 1)].reduce(0, +) + day - 1 - 719_162
    }
}

/// Takes fixed fields off the front of a text.
private struct DigitReader {
    private var rest: Substring.UTF8View

    init(_ text: String) { rest = text[...].utf8 }

    var isAtEnd: Bool { rest.isEmpty }

    /// Exactly `count` digits, at most nine.
    mutating func number(_ count: Int) -> Int64? {
        let digits = rest.prefix(count)
        guard digits.count == count, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        rest = rest.dropFirst(count)
        return digits.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
    }

    /// One of `characters`, which are ASCII.
    mutating func skip(_ characters: String) -> Bool {
        guard let first = rest.first, characters.utf8.contains(first) else { return false }
        rest = rest.dropFirst()
        return true
    }

    /// One to nine digits behind the point, in nanoseconds.
    mutating func fraction() -> Int64? {
        let count = rest.prefix { (0x30...0x39).contains($0) }.count
        guard (1...9).contains(count), let digits = number(count) else { return nil }
        return (count..<9).reduce(digits) { value, _ in value * 10 }
    }
}
