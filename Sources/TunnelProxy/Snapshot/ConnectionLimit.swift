internal import TunnelIO

/// How many WebSockets there may be, and why so many.
struct ConnectionLimit: Equatable {
    enum Source: String {
        case setting
        case controlGroup = "cgroup memory"
        case machine = "machine memory"
    }

    let count: Int
    let source: Source
    /// What there is of it; `nil` where a setting decides.
    let memory: Int?

    /// A silent WebSocket takes a third of this. The rest is for those on which something goes on.
    private static let bytesForEach = 65_536
    /// Without memory to think of.
    private static let most = 20_000
    private static let least = 64

    /// - Parameter setting: 0 to go by the memory.
    init(setting: Int, _ memory: @autoclosure () -> MemoryLimit = MemoryLimit.current()) {
        guard setting == 0 else {
            (count, source, self.memory) = (setting, .setting, nil)
            return
        }
        let memory = memory()
        count = min(max(memory.bytes / ConnectionLimit.bytesForEach, ConnectionLimit.least), ConnectionLimit.most)
        source = memory.source == .machine ? .machine : .controlGroup
        self.memory = memory.bytes
    }
}
