import FoundationEssentials
import Synchronization
public import TunnelCore

/// The Tunnels API and its token endpoint without a socket: both published generations, with every check that the
/// documents name. What they leave open is answered in the strictest way that they allow, so that a client that gets on
/// with the fake gets on with less.
///
/// Two things are not as they really are. The signature of an identity token is not verified, only its form and claims
/// are; nobody needs an identity provider to try this. And connector tokens connect to nothing.
///
/// Choices where nothing is published:
/// - The checks go: path, `anthropic-version`, beta, bearer, scope, query, body, tunnel.
/// - A method that a path does not have is a 404.
/// - Unknown query parameters and unknown members of a body are a 400, except in a token request.
/// - A third certificate is a 400, one that is registered already is a 409, and what an archived tunnel no longer has
///   is a 400.
/// - A tunnel of another workspace is a 404 in the second generation, whose tokens know one workspace. In the first,
///   whose tokens list all workspaces, it is a 403 where the rule's service account is not a member.
public final class FakeTunnelsAPI: Sendable {
    public let configuration: FakeConfiguration
    private let clock: @Sendable () -> UnixTime
    private let state: Mutex<FakeState>

    /// - Parameter clock: the time, before ``advance(bySeconds:)``.
    public init(
        _ configuration: FakeConfiguration = FakeConfiguration(),
        clock: @escaping @Sendable () -> UnixTime = SystemTime.now
    ) {
        (self.configuration, self.clock) = (configuration, clock)
        state = Mutex(FakeState(configuration, now: clock().microseconds))
    }

    /// Goes on from what ``snapshot()`` gave. The configuration's tunnels are made if they are not among those in it.
    ///
    /// - Throws: `DecodingError` for what is no snapshot of this version.
    public init(
        _ configuration: FakeConfiguration = FakeConfiguration(), snapshot: [UInt8],
        clock: @escaping @Sendable () -> UnixTime = SystemTime.now
    ) throws {
        (self.configuration, self.clock) = (configuration, clock)
        let world = try JSONDecoder().decode(FakeState.World.self, from: Data(snapshot))
        state = Mutex(FakeState(configuration, world, now: clock().microseconds))
    }

    /// Takes one request through the checks, the faults and the API.
    public func answer(_ request: FakeRequest) -> FakeAnswer {
        state.withLock { $0.answer(request, configuration, now: clock().microseconds) }
    }

    // MARK: What tests read

    /// All requests, oldest first; the last ``FakeState/maxRecords``.
    public var requests: [FakeRecord] { state.withLock { $0.records } }
    /// All tunnels, archived ones too, oldest first.
    public var tunnels: [FakeTunnel] { state.withLock { $0.world.tunnels } }
    /// All certificates, archived ones too, oldest first.
    public var certificates: [FakeCertificate] { state.withLock { $0.world.certificates } }
    public var audit: [FakeAuditEvent] { state.withLock { $0.world.audit } }
    public var authentications: [FakeAuthentication] { state.withLock { $0.world.authentications } }
    /// The access tokens that are in force, or have expired unnoticed.
    public var accessTokens: [FakeAccessToken] { state.withLock { Array($0.world.accessTokens.values) } }
    /// Faults that wait for their request.
    public var faults: [FakeFault] { state.withLock { $0.faults } }
    /// Rises with every change that a snapshot would hold.
    public var revision: Int { state.withLock { $0.revision } }

    /// The time by the fake's clock.
    public var now: UnixTime {
        UnixTime(microseconds: state.withLock { clock().microseconds + $0.world.clockOffset })
    }

    /// Everything but requests and faults, as JSON. It holds the tokens.
    public func snapshot() -> [UInt8] {
        let world = state.withLock { $0.world }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        // Every member is an integer, a text or a list of them, none of which fails to encode.
        return (try? encoder.encode(world)).map { [UInt8]($0) } ?? []
    }

    // MARK: What tests do

    /// Adds a fault behind those that wait.
    ///
    /// - Returns: `false` where ``FakeFault/maxWaiting`` wait already.
    @discardableResult
    public func fail(_ fault: FakeFault) -> Bool {
        state.withLock { state in
            guard state.faults.count < FakeFault.maxWaiting else { return false }
            state.faults.append(fault)
            return true
        }
    }

    public func removeFaults() { state.withLock { $0.faults = [] } }

    /// Moves the clock on, or back; at most 100 years from the real time in all.
    public func advance(bySeconds seconds: Int) {
        let limit = 100 * 365 * 86_400
        state.withLock {
            let offset = Int($0.world.clockOffset / 1_000_000) + min(max(seconds, -2 * limit), 2 * limit)
            $0.world.clockOffset = Int64(min(max(offset, -limit), limit)) * 1_000_000
            $0.revision += 1
        }
    }

    /// Makes a tunnel as the Console does, the only way there is in the first generation.
    ///
    /// - Parameter id: made up where it is `nil`.
    @discardableResult
    public func makeTunnel(displayName: String? = nil, id: String? = nil, workspaceID: String? = nil) -> FakeTunnel {
        state.withLock {
            let now = clock().microseconds + $0.world.clockOffset
            return $0.makeTunnel(displayName: displayName, id: id, workspaceID: workspaceID, now: now)
        }
    }

    /// Makes all access tokens invalid before their time.
    public func revokeAccessTokens() {
        state.withLock { $0.revokeAccessTokens(now: clock().microseconds + $0.world.clockOffset) }
    }

    /// An identity token for the rule, issued now. Its signature is junk.
    public func identityToken(for rule: FakeRule, subject: String? = nil, lifetime: Int = 600) -> String {
        FakeIdentityToken(
            subject: subject ?? rule.exactSubject, audience: rule.audience, issuer: rule.issuer,
            issuedAt: now.seconds, lifetime: lifetime
        ).text
    }

    /// Back to the beginning: no requests, no faults, the configuration's tunnels only, the clock as it is.
    public func reset() {
        state.withLock {
            let revision = $0.revision
            $0 = FakeState(configuration, now: clock().microseconds)
            $0.revision = revision + 1
        }
    }
}

/// The real-time clock.
public enum SystemTime {
    @Sendable public static func now() -> UnixTime {
        let seconds = Date().timeIntervalSince1970
        let whole = seconds.rounded(.down)
        return UnixTime(seconds: Int64(whole), nanoseconds: Int64((seconds - whole) * 1e9))
    }
}

extension UnixTime {
    var microseconds: Int64 { seconds * 1_000_000 + nanoseconds / 1000 }

    init(microseconds: Int64) {
        // Rounded down, for the nanoseconds count forward also before 1970.
        let seconds = microseconds >= 0 ? microseconds / 1_000_000 : (microseconds - 999_999) / 1_000_000
        self.init(seconds: seconds, nanoseconds: (microseconds - seconds * 1_000_000) * 1000)
    }
}
