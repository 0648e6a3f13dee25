internal import FoundationEssentials
internal import TunnelCore

/// Work that was begun and is not finished, kept beside the credentials so that a run which is cut off at any point can
/// be finished by the next one.
///
/// It is written before the step that it announces. What it says was begun may have happened or not; the Tunnels API
/// is asked which, and nothing is ever taken for done because it stands here.
struct SetupState: Codable, Equatable {
    /// Raised when an older setup could misread the rest.
    var version = SetupState.currentVersion
    var creation: Creation?
    /// A tunnel that was created for a store which holds credentials of something else; its id takes its place together
    /// with the credentials.
    var createdTunnelID: String?
    var authority: PendingAuthority?
    var tokenRotation: TokenRotation?
    var previousAuthority: PreviousAuthority?

    static let currentVersion = 1

    /// A tunnel is about to be created.
    struct Creation: Codable, Equatable {
        var displayName: String
        /// Tunnels of that name that were there before, so that a new one can be told from them.
        var known: [String]
        /// Seconds since 1970-01-01 00:00 UTC.
        var startedAt: Int64
    }

    /// A CA that is about to be registered on a tunnel.
    struct PendingAuthority: Codable, Equatable {
        var tunnelID: String
        var certificate: String
        var key: String
    }

    /// The tunnel token is about to be rotated, or was: until this is gone, the stored token may be void.
    struct TokenRotation: Codable, Equatable {
        var tunnelID: String
        /// What the new token will be; `nil` if the version stays.
        var version: String?
    }

    /// A CA that another one has taken the place of and that is still registered, until the rotation is finished.
    struct PreviousAuthority: Codable, Equatable {
        var tunnelID: String
        var certificateID: String
        var fingerprint: String
    }

    var isEmpty: Bool {
        creation == nil && createdTunnelID == nil && authority == nil && tokenRotation == nil
            && previousAuthority == nil
    }

    /// The work that `contents` tell of; none if there is no such value.
    static func read(_ contents: StoreContents) throws(SetupError) -> SetupState {
        guard let bytes = contents[.setupState] else { return SetupState() }
        do {
            let state = try JSONDecoder().decode(SetupState.self, from: Data(bytes))
            guard state.version == currentVersion else { throw unreadable("it is of version \(state.version)") }
            return state
        } catch let error as SetupError {
            throw error
        } catch {
            throw unreadable("it is not the JSON that setup writes")
        }
    }

    private static func unreadable(_ why: String) -> SetupError {
        SetupError(
            .state, "\(StoreKey.setupState) cannot be used: \(why)",
            remedy:
                "use the version of setup that wrote it; or, if the tunnel and its certificates are all in order in "
                + "the Console, remove \(StoreKey.setupState) and run again")
    }

    /// Puts this state among `changes`: as a value, or as nothing where no work is left.
    func record(in changes: inout StoreChanges) throws(SetupError) {
        if isEmpty { return changes.remove(.setupState) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        do { changes.set(.setupState, Array(try encoder.encode(self))) } catch {
            throw SetupError(.state, "the state of the work cannot be encoded", remedy: "report this as a bug")
        }
    }
}
