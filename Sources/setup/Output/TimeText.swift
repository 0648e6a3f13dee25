import TunnelCore

/// Times in results: `2026-11-21T01:02:03Z` (RFC 3339), to the second.
enum TimeText {
    static func of(seconds: Int64) -> String {
        // The milliseconds, which are always in the same place.
        let text = UnixTime(seconds: seconds).description
        return text.prefix(19) + "Z"
    }

    static func of(_ time: UnixTime) -> String { of(seconds: time.seconds) }
}
