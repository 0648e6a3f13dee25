/// The Tunnels API and its token endpoint without a socket.
public final class FakeTunnelsAPI: Sendable {
    public init() {}
}
