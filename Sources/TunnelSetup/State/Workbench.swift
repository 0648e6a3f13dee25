internal import TunnelCore

/// A store while setup works on it: what it holds, and the work in progress.
struct Workbench {
    let store: any CredentialStore
    private(set) var contents: StoreContents
    private(set) var state: SetupState

    init(_ store: any CredentialStore) async throws(SetupError) {
        self.store = store
        do throws(StoreError) { contents = try await store.load() } catch {
            throw SetupError(error, at: store.location)
        }
        state = try SetupState.read(contents)
    }

    /// Writes values and the state of the work in one step; nothing where nothing differs.
    mutating func save(_ changes: StoreChanges = StoreChanges(), _ change: (inout SetupState) -> Void = { _ in })
        async throws(SetupError)
    {
        var state = state
        change(&state)
        var changes = changes
        if state != self.state { try state.record(in: &changes) }
        changes.dropUnchanged(from: contents)
        guard !changes.isEmpty else { return }
        do throws(StoreError) { contents = try await store.write(changes, over: contents) } catch {
            throw SetupError(error, at: store.location)
        }
        self.state = state
    }
}
