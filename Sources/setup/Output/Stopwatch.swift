import Synchronization
import TunnelAPI
import TunnelSetup

/// Where the time of a command goes: to the API, to the output, or to the rest, which is making keys.
final class Stopwatch: Sendable {
    private struct Times {
        var api = Duration.zero
        var requests = 0
        var output = Duration.zero
    }
    private let times = Mutex(Times())
    private let start = ContinuousClock.now

    func measureAPI<Value>(_ call: () async throws(TransportError) -> Value) async throws(TransportError) -> Value {
        let begin = ContinuousClock.now
        defer {
            let took = ContinuousClock.now - begin
            times.withLock { ($0.api, $0.requests) = ($0.api + took, $0.requests + 1) }
        }
        return try await call()
    }

    func measureOutput<Value>(_ call: () async throws(StoreError) -> Value) async throws(StoreError) -> Value {
        let begin = ContinuousClock.now
        defer {
            let took = ContinuousClock.now - begin
            times.withLock { $0.output += took }
        }
        return try await call()
    }

    /// Milliseconds, for programs.
    struct Report: Encodable {
        let totalMs: Int
        let apiMs: Int
        let apiRequests: Int
        let outputMs: Int
    }

    var report: Report {
        let (total, times) = (ContinuousClock.now - start, self.times.withLock { $0 })
        let milliseconds = { (duration: Duration) in Int(duration / .milliseconds(1)) }
        return Report(
            totalMs: milliseconds(total), apiMs: milliseconds(times.api), apiRequests: times.requests,
            outputMs: milliseconds(times.output))
    }

    /// For example `took 1620 ms: API 25 ms in 7 requests, output 9 ms, keys and the rest 1586 ms`.
    var text: String {
        let report = report
        let rest = max(0, report.totalMs - report.apiMs - report.outputMs)
        return "took \(report.totalMs) ms: API \(report.apiMs) ms in \(report.apiRequests) requests, "
            + "output \(report.outputMs) ms, keys and the rest \(rest) ms"
    }
}

/// A transport whose requests are timed.
struct TimedTransport: HTTPTransport {
    let transport: any HTTPTransport
    let stopwatch: Stopwatch

    func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
        try await stopwatch.measureAPI { () throws(TransportError) in try await transport.send(request) }
    }

    func pause(_ duration: Duration) async { await transport.pause(duration) }
}

/// A store whose reads and writes are timed.
struct TimedStore: CredentialStore {
    let store: any CredentialStore
    let stopwatch: Stopwatch

    var location: String { store.location }
    var isExclusive: Bool { store.isExclusive }

    func load() async throws(StoreError) -> StoreContents {
        try await stopwatch.measureOutput { () throws(StoreError) in try await store.load() }
    }

    func write(_ changes: StoreChanges, over contents: StoreContents) async throws(StoreError) -> StoreContents {
        try await stopwatch.measureOutput { () throws(StoreError) in try await store.write(changes, over: contents) }
    }
}
