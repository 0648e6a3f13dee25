/// Writes metrics as text, for whoever scrapes them.
///
///     let body = MetricsText(.accepted(by: acceptHeader)).write(families)
///
/// Names and help texts are the program's own; values of labels may be anything and are escaped.
public struct MetricsText: Sendable {
    /// The two formats that Prometheus and its kin read.
    @nonexhaustive
    public enum Format: Sendable, Hashable, CaseIterable {
        /// The text format 0.0.4 of Prometheus.
        case prometheus
        /// OpenMetrics 1.0.0. It alone has exemplars.
        case openMetrics

        /// The value of `Content-Type`.
        public var contentType: String {
            switch self {
            case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
            case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        }

        /// The one that a client likes better: OpenMetrics where its `Accept` names it with a weight above that of plain
        /// text, else the older one.
        ///
        /// - Parameter accept: the value of the field; empty where there is none.
        public static func accepted(by accept: String) -> Format {
            var (openMetrics, plain) = (0.0, 0.0)
            for range in accept.split(separator: ",") {
                let parts = range.split(separator: ";").map { part in
                    part.filter { $0 != " " && $0 != "\t" }.lowercased()
                }
                guard let type = parts.first else { continue }
                let weight = parts.lazy.filter { $0.hasPrefix("q=") }.first.map { Double($0.dropFirst(2)) ?? 0 } ?? 1
                let version = parts.first { $0.hasPrefix("version=") }
                switch type {
                case "application/openmetrics-text":
                    // Of an older draft nothing is left; of a newer version we know nothing.
                    guard version == nil || version == "version=1.0.0" || version == "version=1" else { continue }
                    openMetrics = max(openMetrics, weight)
                case "text/plain", "text/*", "*/*": plain = max(plain, weight)
                default: break
                }
            }
            return openMetrics > 0 && openMetrics >= plain ? .openMetrics : .prometheus
        }
    }

    public let format: Format

    public init(_ format: Format) { self.format = format }

    /// The whole text.
    public func write(_ families: [MetricFamily]) -> [UInt8] {
        var buffer = ByteBuffer(capacity: 64 * 1024)
        write(families, to: &buffer)
        return buffer.array
    }

    /// Appends the whole text, its end mark included.
    public func write(_ families: [MetricFamily], to buffer: inout ByteBuffer) {
        var place = Place()
        while append(families, from: &place, atLeast: .max, to: &buffer) {}
    }

    /// How far a text has been written.
    package struct Place: Sendable {
        var family = 0
        var sample = 0

        package init() {}

        fileprivate init(family: Int) { self.family = family }
    }

    /// Appends the next piece, for texts of megabytes that nobody wants to hold.
    ///
    /// - Parameter bytes: after which a piece ends, with a sample.
    /// - Returns: whether more is to come.
    package func append(
        _ families: [MetricFamily], from place: inout Place, atLeast bytes: Int, to buffer: inout ByteBuffer
    ) -> Bool {
        while place.family < families.count {
            let family = families[place.family]
            if place.sample == 0 { begin(family, to: &buffer) }
            while place.sample < family.samples.count {
                write(family.samples[place.sample], of: family, to: &buffer)
                place.sample += 1
                if buffer.count >= bytes { return true }
            }
            place = Place(family: place.family + 1)
        }
        if format == .openMetrics { buffer.append("# EOF\n") }
        return false
    }

    private func begin(_ family: MetricFamily, to buffer: inout ByteBuffer) {
        // In OpenMetrics a counter's family has the name without what its samples end in.
        let suffix = "_total"
        let isShort = format == .openMetrics && family.kind == .counter && family.name.hasSuffix(suffix)
        let name = isShort ? String(family.name.dropLast(suffix.count)) : family.name
        buffer.append("# HELP ")
        buffer.append(name)
        buffer.append(UInt8(ascii: " "))
        Self.escape(family.help, quotes: format == .openMetrics, to: &buffer)
        buffer.append("\n# TYPE ")
        buffer.append(name)
        buffer.append(UInt8(ascii: " "))
        buffer.append(family.kind.rawValue)
        buffer.append(UInt8(ascii: "\n"))
    }

    private func write(_ sample: MetricSample, of family: MetricFamily, to buffer: inout ByteBuffer) {
        switch sample.value {
        case .count(let count):
            Self.begin(family.name, "", sample.labels, to: &buffer)
            buffer.append(decimal: count)
            buffer.append(UInt8(ascii: "\n"))
        case .number(let number):
            Self.begin(family.name, "", sample.labels, to: &buffer)
            Self.append(number, to: &buffer)
            buffer.append(UInt8(ascii: "\n"))
        case .histogram(let histogram): write(histogram, family.name, sample.labels, to: &buffer)
        }
    }

    private func write(
        _ histogram: HistogramValue, _ name: String, _ labels: [MetricLabel], to buffer: inout ByteBuffer
    ) {
        // What every line of it begins with, written once.
        var start = ByteBuffer(capacity: 128)
        start.append(name)
        start.append("_bucket{")
        for label in labels {
            Self.append(label, to: &start)
            start.append(UInt8(ascii: ","))
        }
        start.append("le=\"")
        var marked = format == .openMetrics ? histogram.exemplarBucket : nil
        var total: UInt64 = 0
        for index in histogram.counts.indices {
            total &+= histogram.counts[index]
            start.withBytes { buffer.append($0) }
            if index < histogram.bounds.labels.count {
                let bound = histogram.bounds.labels[index]
                buffer.append(bound)
                // OpenMetrics has every bound as a float.
                if format == .openMetrics && !bound.utf8.contains(UInt8(ascii: ".")) { buffer.append(".0") }
            } else {
                buffer.append("+Inf")
            }
            buffer.append("\"} ")
            buffer.append(decimal: total)
            if marked == index, let exemplar = histogram.exemplar {
                Self.append(exemplar, to: &buffer)
                marked = nil
            }
            buffer.append(UInt8(ascii: "\n"))
        }
        Self.begin(name, "_sum", labels, to: &buffer)
        Self.append(histogram.sum, to: &buffer)
        buffer.append(UInt8(ascii: "\n"))
        Self.begin(name, "_count", labels, to: &buffer)
        buffer.append(decimal: total)
        buffer.append(UInt8(ascii: "\n"))
    }

    // MARK: Parts of a line

    private static func begin(
        _ name: String, _ suffix: StaticString, _ labels: [MetricLabel], to buffer: inout ByteBuffer
    ) {
        buffer.append(name)
        buffer.append(suffix)
        if !labels.isEmpty {
            buffer.append(UInt8(ascii: "{"))
            for (index, label) in labels.enumerated() {
                if index > 0 { buffer.append(UInt8(ascii: ",")) }
                append(label, to: &buffer)
            }
            buffer.append(UInt8(ascii: "}"))
        }
        buffer.append(UInt8(ascii: " "))
    }

    private static func append(_ label: MetricLabel, to buffer: inout ByteBuffer) {
        buffer.append(label.name)
        buffer.append("=\"")
        escape(label.value, quotes: true, to: &buffer)
        buffer.append(UInt8(ascii: "\""))
    }

    private static func append(_ exemplar: HistogramValue.Exemplar, to buffer: inout ByteBuffer) {
        buffer.append(" # {trace_id=\"")
        escape(exemplar.traceID, quotes: true, to: &buffer)
        buffer.append("\"} ")
        append(exemplar.value, to: &buffer)
        buffer.append(UInt8(ascii: " "))
        append(exemplar.timestamp, to: &buffer)
    }

    /// Whole numbers without a fraction, others as the shortest text that reads back as the same.
    private static func append(_ number: Double, to buffer: inout ByteBuffer) {
        if number.isNaN { return buffer.append("NaN") }
        if number.isInfinite { return buffer.append(number > 0 ? "+Inf" : "-Inf") }
        if let whole = UInt64(exactly: number), whole < 1 << 53 { return buffer.append(decimal: whole) }
        buffer.append("\(number)")
    }

    /// A backslash, the end of a line and, inside quotes, a quote are escaped. Both formats know no other.
    private static func escape(_ text: String, quotes: Bool, to buffer: inout ByteBuffer) {
        var text = text
        text.withUTF8 { bytes in
            let isPlain = !bytes.contains { $0 == 0x5C || $0 == 0x0A || $0 == 0x22 }
            if isPlain { return buffer.append(UnsafeRawBufferPointer(bytes)) }
            for byte in bytes {
                switch byte {
                case 0x5C: buffer.append("\\\\")
                case 0x0A: buffer.append("\\n")
                case 0x22 where quotes: buffer.append("\\\"")
                default: buffer.append(byte)
                }
            }
        }
    }
}

extension HistogramValue {
    /// In which bucket its exemplar lies.
    fileprivate var exemplarBucket: Int? {
        guard let exemplar else { return nil }
        let nanoseconds = UInt64(exactly: (exemplar.value * 1_000_000_000).rounded()) ?? .max
        return bounds.nanoseconds.firstIndex { nanoseconds <= $0 } ?? bounds.nanoseconds.count
    }
}
