import Glibc
import TunnelAPI
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelSetup

/// Where credentials are kept, as `--output` names it.
enum OutputPlace: Equatable {
    /// With whose it must be, if that was named.
    case directory(String, owner: FolderOwner? = nil)
    case kubernetesSecret(String)

    static let podDefault = OutputPlace.kubernetesSecret("mcp-tunnel")

    /// - Throws: ``UsageError`` for anything but the two forms.
    init(_ text: String) throws(UsageError) {
        if text.hasPrefix("dir:"), text.utf8.count > 4, !text.utf8.contains(0) {
            self = .directory(String(text.dropFirst(4)))
        } else if text.hasPrefix("k8s-secret:"), KubernetesSecretClient.isValidName(String(text.dropFirst(11))) {
            self = .kubernetesSecret(String(text.dropFirst(11)))
        } else {
            throw UsageError(
                "--output is dir:/path or k8s-secret:NAME, not \(Diagnostic.excerpt(text)); a name has lower-case "
                    + "letters, digits, - and .")
        }
    }

    /// The place that was named, or the default of a Kubernetes pod; `nil` without either.
    static func chosen(_ arguments: Arguments, _ environment: SetupEnvironment) throws(UsageError) -> OutputPlace? {
        let place: OutputPlace? =
            if let text = arguments[.output] {
                try OutputPlace(text)
            } else {
                InClusterConfiguration.isPresent(environment: environment.cluster) ? podDefault : nil
            }
        guard arguments[.outputOwner] != nil else { return place }
        guard case .directory(let path, _) = place else { throw ownerWithoutFolder }
        return .directory(path, owner: try owner(arguments))
    }

    /// The user that `--output-owner` names.
    static func owner(_ arguments: Arguments) throws(UsageError) -> FolderOwner? {
        guard let name = arguments[.outputOwner] else { return nil }
        if let owner = FolderOwner(name) { return owner }
        throw UsageError("--output-owner is a user's name or number, and there is no \(Diagnostic.excerpt(name))")
    }

    static let ownerWithoutFolder = UsageError("--output-owner goes with --output=dir:/path, and with nothing else")

    /// - Throws: ``UsageError`` where there is neither.
    static func required(_ invocation: Invocation) throws(UsageError) -> OutputPlace {
        if let place = try chosen(invocation.arguments, invocation.environment) { return place }
        throw UsageError("--output is needed outside of a Kubernetes pod: dir:/path or k8s-secret:NAME")
    }

    // MARK: Opening

    /// What is to be done there.
    enum Access {
        case reading
        case changing
        /// A folder is made if it is not there, or would be. For the others that is an error, most likely of the spelling.
        case making
        case planning

        fileprivate var purpose: DirectoryStore.Purpose {
            switch self {
            case .reading, .planning: .reading
            case .changing, .making: .writing
            }
        }
    }

    /// How long to wait for another run that holds the folder.
    private static let patience = Duration.seconds(60)
    private static let lookAgain = Duration.milliseconds(200)

    func open(for access: Access, _ invocation: Invocation) async throws(SetupError)
        -> any CredentialStore
    {
        switch self {
        case .directory(let path, let owner): try await openDirectory(path, owner, access, invocation)
        case .kubernetesSecret(let name): try openSecret(name, invocation)
        }
    }

    private func openDirectory(
        _ path: String, _ owner: FolderOwner?, _ access: Access, _ invocation: Invocation
    ) async throws(SetupError) -> any CredentialStore {
        if let missing = Self.missing(path, for: access) { throw missing }
        let purpose = access.purpose
        var waited = Duration.zero
        while true {
            do throws(StoreError) { return try DirectoryStore.open(path: path, for: purpose, ownedBy: owner) } catch {
                guard error.code == .busy, waited < Self.patience else { throw SetupError(error, at: "dir:\(path)") }
                if waited == .zero { invocation.console.note("dir:\(path): \(error.reason); waiting for it") }
                await invocation.loop.pause(Self.lookAgain)
                waited += Self.lookAgain
            }
        }
    }

    private static func missing(_ path: String, for access: Access) -> SetupError? {
        guard access == .reading || access == .changing, Glibc.access(path, F_OK) != 0, errno == ENOENT else {
            return nil
        }
        return SetupError(
            .output, "dir:\(path): no such folder",
            remedy: "name the one that setup init or generate-certs has written")
    }

    /// Why it could not be opened and read, as far as that can be told without the network and without a change.
    func obstacle(to access: Access, _ invocation: Invocation) -> SetupError? {
        switch self {
        case .directory(let path, let owner):
            return Self.missing(path, for: access)
                ?? DirectoryStore.obstacle(path: path, for: access.purpose, ownedBy: owner).map {
                    SetupError($0, at: "dir:\(path)")
                }
        case .kubernetesSecret(let name):
            do throws(SetupError) { _ = try openSecret(name, invocation) } catch { return error }
            return nil
        }
    }

    private func openSecret(_ name: String, _ invocation: Invocation) throws(SetupError) -> any CredentialStore {
        do throws(StoreError) {
            return PatientStore(
                store: try KubernetesSecretStore.inCluster(
                    name: name, environment: invocation.environment.cluster, loop: invocation.loop),
                patience: invocation.patience)
        } catch { throw SetupError(error, at: "k8s-secret:\(name)") }
    }
}
