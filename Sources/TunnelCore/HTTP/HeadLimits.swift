/// What a peer may spend on one head, or on one trailer section.
public struct HeadLimits: Sendable, Equatable {
    /// Bytes from the first of the start line to the empty line, both included.
    public var maxBytes = 65_536
    /// Field lines.
    public var maxFields = 200

    public init() {}

    public init(maxBytes: Int, maxFields: Int) {
        self.maxBytes = maxBytes
        self.maxFields = maxFields
    }

    /// Offsets into a head are kept as `UInt32`.
    var byteLimit: Int { max(0, min(maxBytes, Int(UInt32.max))) }
}
