internal import FoundationEssentials
internal import TunnelCore

/// Work that was begun and is not finished, kept beside the credentials so that a run which is cut off at any point can
/// be finished by the next one.
///
/// It is written before the step that it announces. What it says was begun may have happened or not; the Tunnels API
/// is asked which, and nothing is ever taken for done because it stands here.
package struct SetupState: Codable, Equatable {
    /// Raised when an older setup could misread the rest.
    var version = SetupState.currentVersion
    package var creation: Creation?
    /// A tunnel that was created for a store which holds credentials of something else; its id takes its place together
    /// with the credentials.
    var createdTunnelID: String?
    var ca: PendingCA?
    var tokenRotation: PendingRotation?
    var previousCA: PreviousCA?

    static let currentVersion = 1

    /// The names in the file are older than those in the code.
    package enum CodingKeys: String, CodingKey {
        case version, creation, createdTunnelID, tokenRotation
        case ca = "authority", previousCA = "previousAuthority"
    }

    /// A tunnel is about to be created.
    package struct Creation: Codable, Equatable {
        var displayName: String
        /// Tunnels of that name that were there before, to know a new one from them.
        var known: [String]
        /// Seconds since 1970-01-01 00:00 UTC.
        var startedAt: Int64

        /// Seconds that are left of a time that began with the note; at most all of it, whatever the file or the clock
        /// says.
        package func secondsLeft(of lifetime: Int64, now: Int64) -> Int64 {
            let (age, isOverflow) = now.subtractingReportingOverflow(startedAt)
            // A note from the future is as good as one of this moment.
            guard !isOverflow else { return now > startedAt ? 0 : lifetime }
            return age < 0 ? lifetime : max(lifetime - min(age, lifetime), 0)
        }
    }

    /// A CA that is about to be registered on a tunnel.
    package struct PendingCA: Codable, Equatable {
        var tunnelID: String
        var certificate: String
        var key: String
    }

    /// The tunnel token is about to be rotated, or was: until this is gone, the stored token may be void.
    package struct PendingRotation: Codable, Equatable {
        var tunnelID: String
        /// What the new token will be; `nil` if the version stays.
        var version: String?
    }

    /// A CA that another one has taken the place of and that is still registered, until the rotation is finished.
    package struct PreviousCA: Codable, Equatable {
        var tunnelID: String
        var certificateID: String
        var fingerprint: String
    }

    package var isEmpty: Bool {
        creation == nil && createdTunnelID == nil && ca == nil && tokenRotation == nil
            && previousCA == nil
    }

    /// The work that `contents` hold; empty if there is no such value.
    package static func read(_ contents: StoreContents) throws(SetupError) -> SetupState {
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
    package func record(in changes: inout StoreChanges) throws(SetupError) {
        if isEmpty { return changes.remove(.setupState) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        do { changes.set(.setupState, Array(try encoder.encode(self))) } catch {
            throw SetupError(.state, "the state of the work cannot be encoded", remedy: "report this as a bug")
        }
    }
}

/// Work that a store says was begun and is not finished.
@nonexhaustive
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
        rest.previousCA = nil
        guard rest.isEmpty else {
            self = .provisioning
            return
        }
        guard state.previousCA != nil else { return nil }
        self = .revocation
    }
}

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
