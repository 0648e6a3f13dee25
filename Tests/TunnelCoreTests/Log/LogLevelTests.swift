import Testing
import TunnelCore

@Suite struct LogLevelTests {
    @Test func readsTheConfiguredNames() {
        #expect(["debug", "info", "warn", "error"].map { LogLevel(rawValue: $0) } == [.debug, .info, .warn, .error])
        for text in ["", "INFO", "warning", "info ", "fatal", "0"] { #expect(LogLevel(rawValue: text) == nil) }
    }

    @Test func areOrdered() { #expect(LogLevel.allCases == LogLevel.allCases.sorted() && LogLevel.debug < .error) }

    @Test func readsFormats() {
        #expect(LogFormat(rawValue: "text") == .text && LogFormat(rawValue: "json") == .json)
        #expect(LogFormat(rawValue: "JSON") == nil)
    }
}
