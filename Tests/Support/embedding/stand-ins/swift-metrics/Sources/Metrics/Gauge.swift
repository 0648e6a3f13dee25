import Synchronization

// What the snippets use of swift-metrics, in the same shape; here so that they compile without a network.

public final class Gauge: Sendable {
    /// Stands for a backend: the last value of each label.
    public static let values = Mutex<[String: Double]>([:])

    private let label: String
    public init(label: String) { self.label = label }

    public func record<DataType: BinaryInteger>(_ value: DataType) {
        Self.values.withLock { $0[label] = Double(value) }
    }
}
