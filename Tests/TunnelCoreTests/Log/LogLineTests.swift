import Testing
@testable import TunnelCore

@Suite struct LogLineTests {
    static let time = UnixTime(seconds: 1_795_222_923, nanoseconds: 456_000_000)

    static func line(
        _ format: LogFormat, _ level: LogLevel = .info, _ message: String = "m",
        _ fields: (inout LogLine) -> Void = { _ in }
    ) -> String {
        var line = LogLine(format: format)
        line.begin(level, at: time, message)
        fields(&line)
        line.end()
        return line.withBytes { $0.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
    }

    @Test func writesText() {
        let line = Self.line(.text, .info, "request started") {
            $0.field("route", "echo")
            $0.field("method", Array("POST".utf8).span)
            $0.field("path", "/mcp")
        }
        #expect(line == "2026-11-21T01:02:03.456Z INFO request started route=echo method=POST path=/mcp\n")
    }

    @Test func writesJSON() {
        let line = Self.line(.json, .warn, "request \"started\"") {
            $0.field("route", "echo")
            $0.field("status", 200)
            $0.field("ok", true)
            $0.field("ms", milliseconds: .microseconds(12_345))
        }
        #expect(
            line == #"{"time":"2026-11-21T01:02:03.456Z","level":"WARN","msg":"request \"started\"","route":"echo","#
                + #""status":200,"ok":true,"ms":12.345}"# + "\n")
    }

    @Test(arguments: zip(LogLevel.allCases, ["DEBUG", "INFO", "WARN", "ERROR"]))
    func showsTheLevel(_ level: LogLevel, _ label: String) {
        #expect(Self.line(.text, level) == "2026-11-21T01:02:03.456Z \(label) m\n")
        #expect(Self.line(.json, level).contains("\"level\":\"\(label)\""))
    }

    /// A value as text and as JSON writes it.
    static let values: [(String, String, String)] = [
        ("echo", "echo", #""echo""#), ("", #""""#, #""""#), ("a b", #""a b""#, #""a b""#),
        ("a=b", #""a=b""#, #""a=b""#),
        ("a\"b", #""a\"b""#, #""a\"b""#), ("a\\b", #"a\b"#, #""a\\b""#),
        ("x\nINFO forged", #""x\nINFO forged""#, #""x\nINFO forged""#),
        ("é", "\"é\"", "\"é\""), ("\u{1B}[2J", #""\x1b[2J""#, #""\u001b[2J""#),
        ("\u{202E}", #""\u202e""#, #""\u202e""#),
    ]
    @Test(arguments: values) func quotesValues(_ row: (value: String, text: String, json: String)) {
        #expect(Self.line(.text) { $0.field("k", row.value) } == "2026-11-21T01:02:03.456Z INFO m k=\(row.text)\n")
        #expect(Self.line(.json) { $0.field("k", row.value) }.hasSuffix(",\"k\":\(row.json)}\n"))
    }

    @Test func writesNumbers() {
        let line = Self.line(.text) {
            $0.field("a", 0)
            $0.field("b", Int.min)
            $0.field("c", Int.max)
            $0.field("d", UInt64.max)
            $0.field("e", false)
        }
        #expect(
            line.hasSuffix("m a=0 b=-9223372036854775808 c=9223372036854775807 d=18446744073709551615 e=false\n"))
    }

    static let durations: [(Duration, String)] = [
        (.zero, "0.000"), (.nanoseconds(999), "0.000"), (.microseconds(1), "0.001"), (.milliseconds(1), "1.000"),
        (.microseconds(1_234_567), "1234.567"), (.seconds(3_600), "3600000.000"), (.microseconds(-1_500), "-1.500"),
        (.nanoseconds(-1), "0.000"),
        (Duration(secondsComponent: .max, attosecondsComponent: 0), "9000000000000000.000"),
        (Duration(secondsComponent: .min, attosecondsComponent: 0), "-9000000000000000.000"),
    ]
    @Test(arguments: durations) func writesMilliseconds(_ row: (duration: Duration, text: String)) {
        #expect(Self.line(.text) { $0.field("ms", milliseconds: row.duration) }.hasSuffix(" ms=\(row.text)\n"))
    }

    @Test func writesAddresses() throws {
        let v4 = IPAddress(v4Bytes: 10, 0, 0, 1), v6 = try #require(IPAddress("fd00::1"))
        let line = Self.line(.text) {
            $0.field("a", v4)
            $0.field("b", v6)
            $0.field("c", v4, port: 80)
            $0.field("d", v6, port: 65_535)
        }
        #expect(line.hasSuffix("m a=10.0.0.1 b=fd00::1 c=10.0.0.1:80 d=[fd00::1]:65535\n"))
        let json = Self.line(.json) {
            $0.field("b", v6)
            $0.field("d", v6, port: 1)
        }
        #expect(json.hasSuffix(#","b":"fd00::1","d":"[fd00::1]:1"}"# + "\n"))
    }

    /// Operators search for messages: nothing in them is altered but what would break the line.
    @Test(arguments: [
        "IP validation failed: 8.8.8.8 is not a private address", "cannot unmarshal !!seq into map[string]string",
        "dial tcp a=b:80: connect: \"refused\" \\ 50%", "zertifikat für ü", "",
    ]) func messagesStayAsTheyAre(_ message: String) {
        #expect(Self.line(.text, .error, message) == "2026-11-21T01:02:03.456Z ERROR \(message)\n")
    }

    @Test func messagesStayOneLine() {
        #expect(Self.line(.text, .error, "a\nb\r\u{2028}").hasSuffix(#"ERROR a\nb\r\u2028"# + "\n"))
        #expect(Self.line(.json, .error, "a\nb").contains(#""msg":"a\nb""#))
    }

    @Test(arguments: LogFormat.allCases) func boundsValues(_ format: LogFormat) {
        let limit = LogLine.maxValueBytes
        let whole = String(repeating: "v", count: limit)
        #expect(Self.line(format) { $0.field("k", whole) }.contains(format == .json ? "\"\(whole)\"" : "k=\(whole)\n"))
        #expect(Self.line(format) { $0.field("k", whole + "v") }.contains("\"\(whole)…\""))
        let message = String(repeating: "m", count: LogLine.maxMessageBytes)
        #expect(Self.line(format, .info, message).contains(message) && !Self.line(format, .info, message).contains("…"))
        #expect(Self.line(format, .info, message + "m").contains(message + "…"))
    }

    /// The memory is used again, and a line leaves nothing behind for the next.
    @Test func linesFollowEachOther() {
        var line = LogLine(format: .text)
        for number in 0..<3 {
            line.begin(.info, at: Self.time, "m")
            line.field("n", number)
            if number == 1 { line.field("k", String(repeating: "\u{1}", count: 5_000)) }
            line.end()
            let text = line.withBytes { $0.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
            #expect(text.hasPrefix("2026-11-21T01:02:03.456Z INFO m n=\(number)"))
            #expect(text.hasSuffix("\n") && text.utf8.count { $0 == 0x0A } == 1)
        }
    }
}
