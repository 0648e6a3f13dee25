/// Work that a store says was begun and is not finished.
public enum UnfinishedWork: String, Sendable {
    /// A run of setup was cut off; the next one finishes it.
    case provisioning
    /// The CA was changed, and the old one waits to be revoked when traffic was seen with the new.
    case revocation

    /// `nil` if nothing is left to do. What cannot be read counts as ``provisioning``, which then says what is wrong.
    public init?(in contents: StoreContents) {
        guard contents[.setupState] != nil else { return nil }
        guard let state = try? SetupState.read(contents) else {
            self = .provisioning
            return
        }
        var rest = state
        rest.previousAuthority = nil
        guard rest.isEmpty else {
            self = .provisioning
            return
        }
        guard state.previousAuthority != nil else { return nil }
        self = .revocation
    }
}
