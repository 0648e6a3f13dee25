internal import Synchronization
internal import TunnelTLS

/// What each tunnel proves itself with, by the tunnels' numbers; and how a connection finds what its client asks for.
final class TunnelCredentials: Sendable {
    /// What a new connection shakes hands with.
    enum Door: Sendable {
        /// The only tunnel, whatever name the client asks for.
        case one(ServerCredentials)
        /// The one that the client asks for by name (SNI), or none.
        case several(TLSServerChoice)
    }

    /// What is in force together.
    struct Adoption: Sendable {
        fileprivate let state: State?
    }

    fileprivate struct State: Sendable {
        var byNumber: [Int: ServerCredentials]
        var door: Door
    }
    private let state: Mutex<State>

    /// - Parameter byNumber: one for each tunnel.
    init(_ tunnels: [ProxySnapshot.Tunnel], _ byNumber: [Int: ServerCredentials]) throws {
        state = Mutex(State(byNumber: byNumber, door: try Self.door(tunnels, byNumber)))
    }

    /// Of the only tunnel there is.
    init(_ only: ServerCredentials) { state = Mutex(State(byNumber: [0: only], door: .one(only))) }

    var door: Door { state.withLock { $0.door } }

    /// `nil` for a tunnel that is not there any more.
    subscript(number: Int) -> ServerCredentials? { state.withLock { $0.byNumber[number] } }

    /// Makes what the tunnels of another configuration need, for ``adopt(_:)``. In between nobody else may do so.
    ///
    /// - Parameter fresh: of those tunnels that have none yet.
    func prepare(
        _ tunnels: [ProxySnapshot.Tunnel], _ fresh: [Int: ServerCredentials]
    ) throws -> Adoption {
        let present = state.withLock { $0.byNumber }
        var byNumber: [Int: ServerCredentials] = [:]
        for tunnel in tunnels { byNumber[tunnel.number] = fresh[tunnel.number] ?? present[tunnel.number] }
        if Set(byNumber.keys) == Set(present.keys) { return Adoption(state: nil) }
        return Adoption(state: State(byNumber: byNumber, door: try Self.door(tunnels, byNumber)))
    }

    /// Puts it in force: from the next connection on these tunnels are asked for.
    func adopt(_ adoption: Adoption) {
        guard let next = adoption.state else { return }
        // Keys may be freed with what is replaced: after the lock, not under it.
        let old = state.withLock { state in
            let old = state
            state = next
            return old
        }
        _ = consume old
    }

    private static func door(_ tunnels: [ProxySnapshot.Tunnel], _ byNumber: [Int: ServerCredentials]) throws -> Door {
        let named = tunnels.compactMap { tunnel in
            tunnel.name.flatMap { name in byNumber[tunnel.number].map { (domain: name, credentials: $0) } }
        }
        if let options = named.first?.credentials.options {
            return .several(try TLSServerChoice(named, options: options))
        }
        guard let only = tunnels.first.flatMap({ byNumber[$0.number] }) else {
            throw ProxyError("a tunnel without a certificate")
        }
        return .one(only)
    }
}
