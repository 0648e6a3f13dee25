/// Which traces are recorded: OpenTelemetry's samplers that need nothing but the trace's id and its parent's decision.
package struct Sampler: Equatable, Sendable {
    /// What a trace without a parent, or every trace, is decided by.
    package let ratio: Double
    /// A request that comes with a trace is recorded if its sender records it.
    package let followsParent: Bool
    /// Ids below it are recorded. All with a ratio of 1, which no number stands for.
    private let bound: UInt64?

    /// - Parameter ratio: of traces; below 0 counts as 0, above 1 as 1.
    package init(ratio: Double, followsParent: Bool) {
        let ratio = min(max(ratio, 0), 1)
        (self.ratio, self.followsParent) = (ratio, followsParent)
        bound = UInt64(exactly: (ratio * 0x1p64).rounded(.down))
    }

    /// Reads the two variables that all of OpenTelemetry's libraries know.
    ///
    /// - Parameters:
    ///   - name: OTEL_TRACES_SAMPLER; one of the six names of the specification.
    ///   - argument: OTEL_TRACES_SAMPLER_ARG: the ratio, where the sampler has one; `nil` for 1.
    /// - Returns: `nil` for another name, or an argument that is no number from 0 to 1.
    package init?(name: String, argument: String?) {
        let followsParent = name.hasPrefix("parentbased_")
        switch followsParent ? name.dropFirst("parentbased_".utf8.count) : name[...] {
        case "always_on": self.init(ratio: 1, followsParent: followsParent)
        case "always_off": self.init(ratio: 0, followsParent: followsParent)
        case "traceidratio":
            guard let ratio = argument.map(Self.ratio) ?? 1 else { return nil }
            self.init(ratio: ratio, followsParent: followsParent)
        default: return nil
        }
    }

    /// A number from 0 to 1, as people write it.
    package static func ratio(_ text: String) -> Double? {
        guard let value = Double(text), (0...1).contains(value) else { return nil }
        return value
    }

    /// The name in OpenTelemetry's words.
    package var description: String {
        let own = ratio == 1 ? "always_on" : ratio == 0 ? "always_off" : "traceidratio{\(ratio)}"
        return followsParent ? "parentbased_\(own)" : own
    }

    /// Every process that has the same ratio decides the same for one trace: by the lower half of its id, as OpenTelemetry's
    /// libraries do.
    package func records(_ traceID: TraceID, parentIsSampled: Bool?) -> Bool {
        if followsParent, let parentIsSampled { return parentIsSampled }
        return bound.map { traceID.low < $0 } ?? true
    }
}
