/// Says when a certificate's end comes near: at 30, 7 and 1 days before it, and once it has passed, each once.
///
/// A value without a clock: whoever waits does so by the monotonic clock and asks with the time of the wall clock, which may
/// have been stepped. Steps forth are taken as they come. After a step back by more than an hour the stages that lie ahead
/// again are told again, because a clock that was wrong for a moment must not silence the true end.
struct ExpiryWatch: Sendable {
    private enum Stage: Int, Comparable {
        case far, month, week, day, over
        static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    private static let jitter: Int64 = 3_600

    /// The last second of validity, since 1970.
    private let notAfter: Int64
    private var told: Stage

    /// - Parameter now: when the certificate was put in force, and all was told that was to be told then.
    init(notAfter: Int64, now: Int64) {
        self.notAfter = notAfter
        told = Self.stage(notAfter, now)
    }

    /// Whether a stage has begun that was not told yet.
    mutating func isNews(at now: Int64) -> Bool {
        let stage = Self.stage(notAfter, now)
        if stage > told {
            told = stage
            return true
        }
        if Self.stage(notAfter, now.addingReportingOverflow(Self.jitter).partialValue) < told { told = stage }
        return false
    }

    private static func stage(_ notAfter: Int64, _ now: Int64) -> Stage {
        // Dates of certificates lie within ten thousand years, and so does a clock.
        let left = notAfter.subtractingReportingOverflow(now).partialValue
        if left < 0 { return .over }
        if left <= 86_400 { return .day }
        if left <= 7 * 86_400 { return .week }
        return left <= CertificateCheck.noticeDays * 86_400 ? .month : .far
    }
}
