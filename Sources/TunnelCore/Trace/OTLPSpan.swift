/// Writes one span in the JSON of OpenTelemetry's protocol (OTLP 1.x, `opentelemetry.proto.trace.v1.Span`): ids in hexadecimal,
/// 64-bit numbers as strings, enumerations as numbers.
///
/// `begin`, any number of attributes, `end`. The bytes go into a buffer of the caller's, one span behind the other with a comma
/// between them, so that a batch is made by joining.
package struct OTLPSpanWriter: ~Copyable {
    /// Which side of a request a span tells of.
    package enum Kind: UInt64, Sendable {
        case server = 2
        case client = 3
    }

    /// What every span has.
    package struct Facts: Sendable {
        package var traceID: TraceID
        package var spanID: SpanID
        package var parent: SpanID?
        /// The parent is another process's.
        package var isParentRemote: Bool
        package var flags: UInt8
        package var kind: Kind
        /// Nanoseconds since 1970.
        package var start: UInt64
        package var end: UInt64

        package init(
            traceID: TraceID, spanID: SpanID, parent: SpanID?, isParentRemote: Bool, flags: UInt8, kind: Kind,
            start: UInt64, end: UInt64
        ) {
            (self.traceID, self.spanID, self.parent) = (traceID, spanID, parent)
            (self.isParentRemote, self.flags, self.kind) = (isParentRemote, flags, kind)
            (self.start, self.end) = (start, end)
        }
    }

    /// Bytes of a text that are written; `…` stands for the rest.
    package static let maxText = 1_024
    /// The bits of `flags` that say whether the parent is remote (`SpanFlags`).
    private static let hasIsRemote: UInt64 = 0x100
    private static let isRemote: UInt64 = 0x200

    /// Spans, as they were written.
    package var bytes = ByteBuffer()
    package private(set) var spans = 0
    private var attributes = 0

    package init() {}

    /// Forgets what was written.
    package mutating func removeAll() {
        bytes.removeAll()
        spans = 0
    }

    /// - Parameter name: low in variety: of a method, say.
    package mutating func begin(_ name: Span<UInt8>, _ facts: Facts) {
        if spans > 0 { bytes.append(UInt8(ascii: ",")) }
        spans += 1
        attributes = 0
        bytes.append("{\"traceId\":\"" as StaticString)
        bytes.append(facts.traceID.text)
        bytes.append("\",\"spanId\":\"" as StaticString)
        bytes.append(facts.spanID.text)
        if let parent = facts.parent {
            bytes.append("\",\"parentSpanId\":\"" as StaticString)
            bytes.append(parent.text)
        }
        bytes.append("\",\"flags\":" as StaticString)
        let remote = facts.parent != nil && facts.isParentRemote ? Self.isRemote : 0
        bytes.append(decimal: UInt64(facts.flags) | Self.hasIsRemote | remote)
        bytes.append(",\"name\":\"" as StaticString)
        append(name)
        bytes.append("\",\"kind\":" as StaticString)
        bytes.append(decimal: facts.kind.rawValue)
        bytes.append(",\"startTimeUnixNano\":\"" as StaticString)
        bytes.append(decimal: facts.start)
        bytes.append("\",\"endTimeUnixNano\":\"" as StaticString)
        bytes.append(decimal: facts.end)
        bytes.append("\",\"attributes\":[" as StaticString)
    }

    /// - Parameter failed: the operation did not do what it was for.
    package mutating func end(failed: Bool) {
        // 2 is STATUS_CODE_ERROR; what did not fail is left unset, as an instrumentation does.
        bytes.append(failed ? "],\"status\":{\"code\":2}}" as StaticString : "],\"status\":{}}" as StaticString)
    }

    package mutating func attribute(_ key: StaticString, _ value: Span<UInt8>) {
        beginAttribute(key)
        bytes.append("{\"stringValue\":\"" as StaticString)
        append(value)
        bytes.append("\"}}" as StaticString)
    }

    package mutating func attribute(_ key: StaticString, _ value: String) {
        var value = value
        value.withUTF8 { attribute(key, $0.span) }
    }

    package mutating func attribute(_ key: StaticString, _ value: UInt64) {
        beginAttribute(key)
        bytes.append("{\"intValue\":\"" as StaticString)
        bytes.append(decimal: value)
        bytes.append("\"}}" as StaticString)
    }

    private mutating func beginAttribute(_ key: StaticString) {
        if attributes > 0 { bytes.append(UInt8(ascii: ",")) }
        attributes += 1
        bytes.append("{\"key\":\"" as StaticString)
        bytes.append(key)
        bytes.append("\",\"value\":" as StaticString)
    }

    private mutating func append(_ text: Span<UInt8>) {
        EscapedText.append(text, .json, limit: Self.maxText, to: &bytes)
    }
}

/// The request that takes spans to a collector (`ExportTraceServiceRequest`): who sends them, and around them what OTLP wants.
package struct OTLPEnvelope: Sendable {
    private let head: [UInt8]
    private static let tail: StaticString = "]}]}]}"

    /// - Parameters:
    ///   - resource: attributes of the process; of two with the same name the later one counts.
    ///   - scope: what makes the spans, and its version.
    package init(resource: [(key: String, value: String)], scope: (name: String, version: String)) {
        var buffer = ByteBuffer()
        func text(_ value: String) {
            buffer.append(UInt8(ascii: "\""))
            var value = value
            value.withUTF8 { EscapedText.append($0.span, .json, limit: OTLPSpanWriter.maxText, to: &buffer) }
            buffer.append(UInt8(ascii: "\""))
        }
        buffer.append("{\"resourceSpans\":[{\"resource\":{\"attributes\":[" as StaticString)
        var isFirst = true
        for (index, attribute) in resource.enumerated()
        where !resource[(index + 1)...].contains(where: { $0.key == attribute.key }) {
            buffer.append(isFirst ? "{\"key\":" as StaticString : ",{\"key\":" as StaticString)
            isFirst = false
            text(attribute.key)
            buffer.append(",\"value\":{\"stringValue\":" as StaticString)
            text(attribute.value)
            buffer.append("}}" as StaticString)
        }
        buffer.append("]},\"scopeSpans\":[{\"scope\":{\"name\":" as StaticString)
        text(scope.name)
        buffer.append(",\"version\":" as StaticString)
        text(scope.version)
        buffer.append("},\"spans\":[" as StaticString)
        head = buffer.array
    }

    /// - Parameter parts: each one or several spans of ``OTLPSpanWriter``.
    package func body(_ parts: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(head.count + parts.reduce(Self.tail.utf8CodeUnitCount) { $0 + $1.count + 1 })
        bytes += head
        for (index, part) in parts.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes += part
        }
        Self.tail.withUTF8Buffer { bytes += $0 }
        return bytes
    }
}
