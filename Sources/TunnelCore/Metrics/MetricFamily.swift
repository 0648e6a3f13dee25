/// All values of one name at one moment, as monitoring systems understand them: a type, a help text, and a sample for each
/// set of labels.
///
/// A value without I/O. `ProxyServer.metrics()` of TunnelProxy makes them, ``MetricsText`` writes them, and whoever embeds
/// the proxy may add families of its own.
public struct MetricFamily: Sendable, Hashable {
    @nonexhaustive
    public enum Kind: String, Sendable, Hashable {
        /// Only grows while the process lives. The name in the text ends in `_total`.
        case counter
        /// The present number.
        case gauge
        /// Counts by size.
        case histogram
    }

    /// As it is queried: a counter's ends in `_total`.
    public let name: String
    public let kind: Kind
    /// One sentence.
    public let help: String
    public package(set) var samples: [MetricSample]

    package init(_ name: String, _ kind: Kind, _ help: String, _ samples: [MetricSample] = []) {
        (self.name, self.kind, self.help, self.samples) = (name, kind, help, samples)
    }

    /// The sample with exactly these labels, in any order. One with an empty value is as good as absent.
    public subscript(labels: KeyValuePairs<String, String>) -> MetricSample? {
        let wanted = Set(labels.filter { !$0.value.isEmpty }.map { MetricLabel($0.key, $0.value) })
        return samples.first { sample in Set(sample.labels.filter { !$0.value.isEmpty }) == wanted }
    }
}

/// One value, and the labels that tell it from its siblings.
public struct MetricSample: Sendable, Hashable {
    @nonexhaustive
    public enum Value: Sendable, Hashable {
        case count(UInt64)
        case number(Double)
        case histogram(HistogramValue)
    }

    public let labels: [MetricLabel]
    public let value: Value

    package init(_ labels: [MetricLabel], _ value: Value) { (self.labels, self.value) = (labels, value) }

    /// The value of the label with that name; empty when there is none.
    public func label(_ name: String) -> String { labels.first { $0.name == name }?.value ?? "" }

    /// The count, or the number cut to a whole one; of a histogram how many were counted.
    public var count: UInt64 {
        switch value {
        case .count(let count): count
        case .number(let number): UInt64(exactly: number.rounded(.towardZero)) ?? 0
        case .histogram(let histogram): histogram.count
        }
    }
}

/// A name and its value.
public struct MetricLabel: Sendable, Hashable {
    public let name: String
    public let value: String

    package init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
}

/// How many durations there were of each size.
public struct HistogramValue: Sendable, Hashable {
    /// The buckets' upper ends, which belong to them.
    public let bounds: HistogramBounds
    /// How many fell into each bucket, each counted once; one more than there are bounds.
    public package(set) var counts: [UInt64]
    /// All durations together, in seconds.
    public package(set) var sum: Double
    /// One of the durations, with the trace that it belongs to.
    public package(set) var exemplar: Exemplar?

    /// - Parameter counts: one for each bound and one for what lies beyond the last.
    package init(bounds: HistogramBounds, counts: [UInt64], sum: Double, exemplar: Exemplar? = nil) {
        precondition(counts.count == bounds.nanoseconds.count + 1, "a count for each bucket")
        (self.bounds, self.counts, self.sum, self.exemplar) = (bounds, counts, sum, exemplar)
    }

    /// How many durations there were.
    public var count: UInt64 { counts.reduce(0, &+) }

    /// A duration and its trace (OpenMetrics 1.0, "Exemplars").
    public struct Exemplar: Sendable, Hashable {
        /// 32 hexadecimal digits.
        public let traceID: String
        /// In seconds.
        public let value: Double
        /// Seconds since 1970.
        public let timestamp: Double

        package init(traceID: String, value: Double, timestamp: Double) {
            (self.traceID, self.value, self.timestamp) = (traceID, value, timestamp)
        }
    }
}

/// Where the buckets of a histogram end.
public struct HistogramBounds: Sendable, Hashable {
    /// Rising.
    public let nanoseconds: [UInt64]
    /// The same in seconds, as the label `le` shows them.
    public let labels: [String]

    /// - Parameter seconds: rising decimal numbers, such as `"0.005"`, of at most nine digits behind the point.
    init(_ seconds: [String]) {
        labels = seconds
        nanoseconds = seconds.map { text in
            let parts = text.split(separator: ".", maxSplits: 1)
            let fraction = parts.count > 1 ? parts[1] + String(repeating: "0", count: 9 - parts[1].utf8.count) : "0"
            return (UInt64(parts[0]) ?? 0) * 1_000_000_000 + (UInt64(fraction) ?? 0)
        }
    }

    /// Of requests: the semantic conventions of OpenTelemetry for HTTP, and on to five minutes, for tools that take long.
    package static let request = HistogramBounds([
        "0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1", "2.5", "5", "7.5", "10", "30",
        "60", "120", "300",
    ])
    /// Of operations of MCP, by the same conventions.
    package static let operation = HistogramBounds([
        "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10", "30", "60", "120", "300",
    ])
    /// Of how long an event loop lets an event wait.
    package static let lag = HistogramBounds([
        "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1",
    ])
}
