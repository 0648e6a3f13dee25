internal import CLinux
internal import Synchronization

/// Gives memory that many sessions have left behind back to the system.
///
/// The allocator keeps what was freed, for the next who asks. After a storm of connections that may be hundreds of
/// megabytes for nobody. So once enough sessions have ended the rest is waited for, and then the allocator is told, on a
/// thread that serves nobody: it takes tens of milliseconds.
package final class MemoryTrim: Sendable {
    /// Sessions that are worth it: some megabytes.
    package static let threshold = 256
    /// From then to the trim, and so the shortest time between two.
    package static let delay: UInt64 = 5_000_000_000

    private let ended = Atomic<Int>(0)
    private let delay: UInt64
    private let trim: @Sendable () -> Void

    /// - Parameters:
    ///   - delay: nanoseconds, and `trim`: what is done after them; for tests.
    package init(
        after delay: UInt64 = MemoryTrim.delay, _ trim: @escaping @Sendable () -> Void = MemoryTrim.trimAllocator
    ) { (self.delay, self.trim) = (delay, trim) }

    /// Blocks, and holds up who allocates meanwhile for parts of it.
    package static func trimAllocator() { CLinux_trim_memory() }

    /// One session has ended on this loop.
    package func sessionEnded(on reactor: Reactor) {
        // Only the one that reaches the threshold asks; those behind it are counted for the same trim.
        guard ended.add(1, ordering: .relaxed).newValue == MemoryTrim.threshold else { return }
        reactor.runLater(after: delay) { [self] in
            ended.store(0, ordering: .relaxed)
            // With so much for these threads to do, there is nobody to wait for the memory either.
            _ = BlockingPool.files.submit(trim)
        }
    }
}
