// docs/embedding.md
import Synchronization
import TunnelSetup

/// Keeps a tunnel's credentials in a place of the program's own; here in its memory.
final class MemoryStore: CredentialStore {
    let location = "memory"
    let isExclusive = true  // nobody else writes here
    private let contents = Mutex(StoreContents())

    func load() async throws(StoreError) -> StoreContents { contents.withLock { $0 } }

    func write(_ changes: StoreChanges, over read: StoreContents) async throws(StoreError) -> StoreContents {
        try contents.withLock { contents throws(StoreError) in
            guard StoreKey.allCases.allSatisfy({ contents[$0] == read[$0] }) else {
                throw StoreError(.conflict, "somebody else has changed the memory", remedy: "run it again")
            }
            contents = contents.applying(changes, revision: "")
            return contents
        }
    }
}
// docs/embedding.md
