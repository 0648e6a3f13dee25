import Testing
import TunnelCore

@Suite struct GoDurationTests {
    @Test(
        arguments: [
            ("0", 0), ("+0", 0), ("-0", 0), ("0s", 0), ("5s", 5_000_000_000), ("30s", 30_000_000_000),
            ("1478s", 1_478_000_000_000), ("-5s", -5_000_000_000),
            ("+5s", 5_000_000_000), ("5.0s", 5_000_000_000), ("5.6s", 5_600_000_000), ("5.s", 5_000_000_000),
            (".5s", 500_000_000), ("1.0040s", 1_004_000_000),
            ("10ns", 10), ("11us", 11_000), ("12µs", 12_000), ("12μs", 12_000), ("13ms", 13_000_000),
            ("15m", 900_000_000_000), ("16h", 57_600_000_000_000),
            ("3h30m", 12_600_000_000_000), ("10.5s4m", 250_500_000_000), ("-2m3.4s", -123_400_000_000),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006), ("1h1h", 7_200_000_000_000),
            ("39h9m14.425s", 140_954_425_000_000), ("52763797000ns", 52_763_797_000),
            ("0.3333333333333333333h", 1_200_000_000_000), ("0.9ns", 0),
            ("9007199254740993ns", 9_007_199_254_740_993), ("9223372036854775807ns", .max),
            ("9223372036854775.807us", .max), ("-9223372036854775808ns", .min),
            ("2562047h47m16.854775807s", .max), ("0.100000000000000000000h", 360_000_000_000),
            ("0.830103483285477580700h", 2_988_372_539_827),
            ("000000000000000000000000000001s", 1_000_000_000),
        ] as [(String, Int64)])
    func parses(_ text: String, _ nanoseconds: Int64) throws {
        #expect(try GoDuration(text).nanoseconds == nanoseconds)
    }

    @Test(arguments: [
        ("", "invalid duration"), ("-", "invalid duration"), ("+", "invalid duration"), (".", "invalid duration"),
        ("s", "invalid duration"), (".s", "invalid duration"),
        ("+.s", "invalid duration"), ("--5s", "invalid duration"), ("5s ", "unknown unit in duration"),
        (" 5s", "invalid duration"), ("5 s", "unknown unit in duration"),
        ("3", "missing unit in duration"), ("00", "missing unit in duration"), ("5.", "missing unit in duration"),
        ("1h5", "missing unit in duration"), ("1d", "unknown unit in duration"),
        ("5S", "unknown unit in duration"), ("1.2.3s", "missing unit in duration"),
        ("1e3s", "unknown unit in duration"), ("5s-3s", "unknown unit in duration"), ("１s", "invalid duration"),
        ("9223372036854775808ns", "duration out of range"), ("9223372036854775.808us", "duration out of range"),
        ("-9223372036854775809ns", "duration out of range"),
        ("3000000h", "duration out of range"), ("99999999999999999999s", "duration out of range"),
        ("2562047h47m16.854775808s", "duration out of range"),
        ("18446744073709551615ns", "duration out of range"), ("9223372036854775807ns1ns", "duration out of range"),
    ])
    func refuses(_ text: String, _ problem: String) {
        let error = #expect(throws: GoDurationError.self) { try GoDuration(text) }
        #expect(error?.description == problem)
    }

    @Test(
        arguments: [
            (0, "0s"), (1, "1ns"), (1_100, "1.1µs"), (2_200_000, "2.2ms"), (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"), (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"), (480_000_000_001, "8m0.000000001s"), (3_600_000_000_000, "1h0m0s"),
            (-1_500_000_000, "-1.5s"),
            (.max, "2562047h47m16.854775807s"), (.min, "-2562047h47m16.854775808s"),
        ] as [(Int64, String)])
    func prints(_ nanoseconds: Int64, _ text: String) {
        #expect(GoDuration(nanoseconds: nanoseconds).description == text)
    }

    @Test func readsBackWhatItPrints() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            let value = Int64.random(in: .min ... .max, using: &random) >> Int64.random(in: 0...63, using: &random)
            #expect(try GoDuration(GoDuration(nanoseconds: value).description).nanoseconds == value)
        }
    }

    @Test func convertsDurations() {
        #expect(GoDuration(nanoseconds: 1_500_000_000).duration == .milliseconds(1_500))
        #expect(GoDuration(nanoseconds: -1).duration == .nanoseconds(-1))
        #expect(GoDuration(clamping: .milliseconds(1_500)).nanoseconds == 1_500_000_000)
        #expect(GoDuration(clamping: .nanoseconds(Int64.max)).nanoseconds == .max)
        #expect(GoDuration(clamping: .nanoseconds(Int64.min)).nanoseconds == .min)
        #expect(GoDuration(clamping: .seconds(Int64.max)).nanoseconds == .max)
        #expect(GoDuration(clamping: .seconds(Int64.min)).nanoseconds == .min)
    }
}
