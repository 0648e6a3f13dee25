internal import TunnelCore
public import TunnelAPI

/// The tunnel that a store belongs to, for those who only look at it or replace its token.
public struct StoredTunnel: Sendable {
    private let store: any CredentialStore
    private let contents: StoreContents

    /// - Throws: when the store holds another tunnel than `id`.
    public init(_ store: any CredentialStore, expecting id: String) async throws(SetupError) {
        self.store = store
        do throws(StoreError) { contents = try await store.load() } catch {
            throw SetupError(error, at: store.location)
        }
        guard contents.text(.tunnelID) == id else {
            let stored = contents.name(.tunnelID)
            throw SetupError(
                .state, "\(store.location) holds \(stored.map { "tunnel \($0)" } ?? "no tunnel"), not \(id)",
                remedy: "name the output of that tunnel")
        }
    }

    /// The id of the tunnel in `store`; `nil` if it holds none.
    public static func id(in store: any CredentialStore) async throws(SetupError) -> String? {
        do throws(StoreError) { return try await store.load().text(.tunnelID) } catch {
            throw SetupError(error, at: store.location)
        }
    }

    public var location: String { store.location }

    /// Puts `token` in the place of the stored one; its version stays.
    public func replaceToken(_ token: TunnelToken) async throws(SetupError) {
        var changes = StoreChanges()
        changes.set(.tunnelToken, token.value.reveal())
        do throws(StoreError) { _ = try await store.write(changes, over: contents) } catch {
            throw SetupError(error, at: store.location)
        }
    }
}
