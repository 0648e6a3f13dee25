internal import Glibc
internal import TunnelCore

/// How traces are recorded and where they go, as OpenTelemetry's own variables have it, which every collector's guide prints.
/// Read once, at the start.
struct TraceSettings: Sendable {
    /// Where spans go.
    struct Export: Sendable {
        let endpoint: OTLPEndpoint
        /// Nanoseconds for one attempt.
        let timeout: UInt64
        /// A PEM file of CAs in place of the system's.
        let caFile: String?
    }

    let sampler: Sampler
    /// `nil` for OTEL_TRACES_EXPORTER=none: ids are made and passed on, and nothing is sent.
    let export: Export?
    let queue: SpanQueue.Limits
    /// Nanoseconds for which a span may wait for others.
    let delay: UInt64
    /// Attributes of this process.
    let resource: [(key: String, value: String)]
    /// What was said and has no effect, to be told once.
    let remarks: [String]

    /// Every variable that is looked at.
    static let variables = [
        "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    ]

    /// Those of them that this process was started with.
    static func environment() -> [String: String] {
        var found: [String: String] = [:]
        for name in variables {
            if let value = getenv(name) { found[name] = String(cString: value) }
        }
        return found
    }

    /// - Returns: `nil` where OTEL_SDK_DISABLED is `true`: the proxy then takes no part in traces.
    /// - Throws: everything that is wrong, a line for each, with the variable's name. Never a header's value.
    static func read(_ environment: [String: String]) throws(ProxyError) -> TraceSettings? {
        var reader = TraceEnvironment(environment)
        if reader.isTrue("OTEL_SDK_DISABLED") { return nil }
        let settings = TraceSettings(&reader)
        if !reader.problems.isEmpty { throw ProxyError(reader.problems.joined(separator: "\n")) }
        return settings
    }

    private init(_ reader: inout TraceEnvironment) {
        sampler = reader.sampler()
        let timeout = reader.milliseconds(
            ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"], else: 10_000, 1...600_000)
        let caFile = reader.first(["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"])?.value
        let endpoint = reader.endpoint()
        let exports = reader.exports()
        reader.lookAtProtocol()
        export = exports ? endpoint.map { Export(endpoint: $0, timeout: timeout, caFile: caFile) } : nil
        delay = reader.milliseconds(["OTEL_BSP_SCHEDULE_DELAY"], else: 5_000, 1...3_600_000)
        let count = reader.number("OTEL_BSP_MAX_QUEUE_SIZE", else: 2_048, 1...1_000_000)
        let batch = reader.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", else: 512, 1...100_000)
        queue = SpanQueue.Limits(spans: count, batch: min(batch, count))
        resource = reader.resource()
        remarks = reader.remarks
    }
}

/// Reads the variables one by one and collects what is wrong. An empty one counts as missing, as the specification has it.
private struct TraceEnvironment {
    private let values: [String: String]
    private(set) var problems: [String] = []
    private(set) var remarks: [String] = []

    init(_ values: [String: String]) { self.values = values.filter { !$0.value.isEmpty } }

    /// The first of `names` that is set.
    func first(_ names: [String]) -> (name: String, value: String)? {
        for name in names {
            if let value = values[name] { return (name, value) }
        }
        return nil
    }

    func isTrue(_ name: String) -> Bool { values[name]?.lowercased() == "true" }

    private mutating func report(_ name: String, _ problem: String, _ remedy: String) {
        problems.append("\(name): \(problem) (\(remedy))")
    }

    mutating func number(_ name: String, else usual: Int, _ range: ClosedRange<Int>) -> Int {
        guard let text = values[name] else { return usual }
        if let value = Int(text), range.contains(value) { return value }
        report(name, "not such a number: \(quotedText(text))", "write \(range.lowerBound) to \(range.upperBound)")
        return usual
    }

    /// - Returns: nanoseconds.
    mutating func milliseconds(_ names: [String], else usual: Int, _ range: ClosedRange<Int>) -> UInt64 {
        let name = first(names)?.name ?? names[0]
        return UInt64(number(name, else: usual, range)) * 1_000_000
    }

    mutating func sampler() -> Sampler {
        let usual = Sampler(ratio: 1, followsParent: true)
        guard let name = values["OTEL_TRACES_SAMPLER"] else { return usual }
        let argument = values["OTEL_TRACES_SAMPLER_ARG"]
        if let sampler = Sampler(name: name, argument: argument) { return sampler }
        if Sampler(name: name, argument: nil) == nil {
            report(
                "OTEL_TRACES_SAMPLER", "not known: \(quotedText(name))",
                "write always_on, always_off or traceidratio, or one of them behind parentbased_")
        } else {
            report(
                "OTEL_TRACES_SAMPLER_ARG", "not a ratio: \(quotedText(argument ?? ""))", "write 0 to 1, such as 0.01")
        }
        return usual
    }

    mutating func endpoint() -> OTLPEndpoint? {
        let whole = values["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
        let name = whole == nil ? "OTEL_EXPORTER_OTLP_ENDPOINT" : "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
        let headers = self.headers()
        do throws(OTLPEndpoint.Failure) {
            return try OTLPEndpoint(
                whole ?? values[name] ?? "http://localhost:4318", isBase: whole == nil, headers: headers)
        } catch {
            // Not the text itself, which may hold a password.
            report(name, error.problem, "write http://collector:4318")
            return nil
        }
    }

    private mutating func headers() -> [(name: String, value: Secret)] {
        let names = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"]
        guard let (name, text) = first(names) else { return [] }
        let remedy = "write name=value, with commas between several and percent-encoding"
        guard let pairs = Self.pairs(text) else {
            report(name, "not a list of headers", remedy)
            return []
        }
        // By its number: what is wrong may be that a value was taken for a name.
        if let wrong = pairs.firstIndex(where: { !OTLPEndpoint.isHeader($0.key, $0.value) }) {
            report(name, "number \(wrong + 1) cannot be a header of this request", remedy)
            return []
        }
        return pairs.map { ($0.key, Secret($0.value)) }
    }

    mutating func exports() -> Bool {
        switch values["OTEL_TRACES_EXPORTER"] {
        case nil, "otlp": return true
        case "none": return false
        case let other?:
            report("OTEL_TRACES_EXPORTER", "not known: \(quotedText(other))", "write otlp or none")
            return false
        }
    }

    /// JSON over HTTP is all that is spoken, and a collector takes it where it takes protobuf over HTTP.
    mutating func lookAtProtocol() {
        let names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"]
        guard let (name, value) = first(names), value != "http/json" else { return }
        let port = value == "grpc" ? ", usually at port 4318 in place of 4317" : ""
        remarks.append("\(name)=\(quotedText(value)): spans go as http/json\(port)")
    }

    mutating func resource() -> [(key: String, value: String)] {
        var attributes: [(key: String, value: String)] = [
            ("telemetry.sdk.name", "mcp-tunnel"), ("telemetry.sdk.language", "swift"),
            ("telemetry.sdk.version", TunnelProxyVersion.current), ("service.name", "mcp-proxy"),
            ("service.version", TunnelProxyVersion.current),
        ]
        if let text = values["OTEL_RESOURCE_ATTRIBUTES"] {
            if let pairs = Self.pairs(text) {
                attributes += pairs
            } else {
                report(
                    "OTEL_RESOURCE_ATTRIBUTES", "not a list of attributes: \(quotedText(text))",
                    "write key=value, with commas between several and percent-encoding")
            }
        }
        if let name = values["OTEL_SERVICE_NAME"] { attributes.append(("service.name", name)) }
        return attributes
    }

    /// `key=value,key=value`, both sides percent-encoded, with spaces around them (the form of W3C Baggage without properties).
    private static func pairs(_ text: String) -> [(key: String, value: String)]? {
        var pairs: [(key: String, value: String)] = []
        for element in text.split(separator: ",") {
            let parts = element.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let key = decoded(parts[0]), !key.isEmpty, let value = decoded(parts[1]) else {
                return nil
            }
            pairs.append((key, value))
        }
        return pairs
    }

    private static func decoded(_ text: Substring) -> String? {
        let trimmed = text.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }
        return PercentEncoding.decode(String(trimmed.reversed())).flatMap { String(validating: $0, as: UTF8.self) }
    }
}
