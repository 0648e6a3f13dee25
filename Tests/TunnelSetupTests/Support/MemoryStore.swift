import Synchronization

@testable import TunnelSetup

/// A store in memory whose writes are atomic, and which "loses power" at a chosen one: before it or right after it. Or
/// somebody else is at work in it right before a chosen write.
final class MemoryStore: CredentialStore {
    struct Crash: Sendable {
        enum Moment: Sendable { case beforeWrite, afterWrite }
        /// Counted from 0.
        let write: Int
        let moment: Moment
    }
    private struct State {
        var values: [StoreKey: [UInt8]] = [:]
        var writes = 0
        var crash: Crash?
        var history: [[StoreKey]] = []
        var others: (write: Int, act: @Sendable () async -> Void)?
    }
    private let state = Mutex(State())
    let location = "memory:"
    let isExclusive: Bool

    init(isExclusive: Bool = true) { self.isExclusive = isExclusive }

    /// The next run: what was written stays.
    func restart(crash: Crash? = nil) { state.withLock { ($0.writes, $0.crash) = (0, crash) } }

    /// Before the write with this number, once, something else happens.
    func interrupt(before write: Int, _ act: @escaping @Sendable () async -> Void) {
        state.withLock { ($0.writes, $0.others) = (0, (write, act)) }
    }

    /// Names of each write's changes, oldest first.
    var history: [[StoreKey]] { state.withLock { $0.history } }
    var contents: StoreContents { state.withLock { StoreContents($0.values) } }
    func text(_ key: StoreKey) -> String? { contents.text(key) }
    func put(_ key: StoreKey, _ value: [UInt8]?) { state.withLock { $0.values[key] = value } }
    func put(_ key: StoreKey, _ value: String) { put(key, Array(value.utf8)) }

    func load() async throws(StoreError) -> StoreContents { contents }

    func write(_ changes: StoreChanges, over contents: StoreContents) async throws(StoreError) -> StoreContents {
        let failure = StoreError(.notWritable, "memory: crashed", remedy: "run again")
        let others = state.withLock { state in
            guard let others = state.others, others.write == state.writes else { return State().others }
            state.others = nil
            return others
        }
        await others?.act()
        try self.contents.checkIsSame(as: contents)
        let outcome: (StoreContents, hasCrashed: Bool)? = state.withLock { state in
            let crash = state.crash.flatMap { $0.write == state.writes ? $0.moment : nil }
            // Whoever has crashed does nothing more.
            if crash == .beforeWrite || (state.crash.map { state.writes > $0.write } ?? false) {
                state.writes += 1
                return nil
            }
            state.writes += 1
            state.values = StoreContents(state.values).applying(changes, revision: "").everything
            state.history.append(changes.keys)
            return (StoreContents(state.values), crash == .afterWrite)
        }
        guard let outcome, !outcome.hasCrashed else { throw failure }
        return outcome.0
    }
}

extension StoreContents {
    var everything: [StoreKey: [UInt8]] {
        Dictionary(uniqueKeysWithValues: keys.compactMap { key in self[key].map { (key, $0) } })
    }
}
