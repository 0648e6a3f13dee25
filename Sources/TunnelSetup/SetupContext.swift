public import TunnelCore
internal import TunnelIO

/// What the steps of setup need from outside: the time, a way to wait, and somebody to tell.
public struct SetupContext: Sendable {
    /// The time now.
    public var now: @Sendable () -> UnixTime
    /// Waits; `HTTPTransport.pause` does.
    public var pause: @Sendable (Duration) async -> Void
    /// Is told each thing done, in one line without a secret.
    public var tell: @Sendable (String) -> Void

    public init(
        now: @escaping @Sendable () -> UnixTime, pause: @escaping @Sendable (Duration) async -> Void,
        tell: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        (self.now, self.pause, self.tell) = (now, pause, tell)
    }

    /// A name for a tunnel that nobody has named: alone among the tunnels of an organization, so that a tunnel whose
    /// creation was not seen to the end can be found again.
    func newDisplayName() -> String {
        let digits = String(UInt32.random(in: .min ... .max), radix: 16)
        return "mcp-tunnel " + String(repeating: "0", count: 8 - digits.count) + digits
    }
}
