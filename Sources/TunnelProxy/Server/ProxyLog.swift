public import TunnelCore
internal import TunnelIO

/// The log on standard error, written by a thread of its own so that a slow reader holds up no request.
public final class ProxyLog: Sendable {
    /// What ``ProxyServer`` takes.
    public let log: Log
    private let writer: LogWriter

    private init(_ log: Log, _ writer: LogWriter) { (self.log, self.writer) = (log, writer) }

    /// Level and format come from the configuration.
    ///
    /// - Throws: when no thread can be started.
    public static func standardError(_ configuration: ProxyConfiguration) throws -> ProxyLog {
        let format = configuration.logFormat
        let ring = configuration.adminAddress.map { _ in LogRing() }
        let writer = try LogWriter(descriptor: 2, keeping: ring) { dropped in
            var line = LogLine(format: format)
            line.begin(.warn, at: SystemClock.now(), "log lines dropped")
            line.field("count", dropped)
            line.end()
            return line.withBytes { bytes in bytes.withUnsafeBytes { [UInt8]($0) } }
        }
        let log = Log(threshold: configuration.logLevel, format: format, sink: writer, now: SystemClock.now)
        return ProxyLog(log, writer)
    }

    /// Writes out what is queued, for the end of the process; waits a second at most.
    public func finish() { writer.finish() }
}
