public import TunnelCore
internal import TunnelIO

/// What the steps of setup need from outside: the time, a way to wait, and where to report what is done.
public struct SetupContext: Sendable {
    /// The time now.
    public var now: @Sendable () -> UnixTime
    /// Waits; `HTTPTransport.pause` does.
    public var pause: @Sendable (Duration) async -> Void
    /// Called for each thing done, with one line that holds no secret.
    public var report: @Sendable (String) -> Void

    public init(
        now: @escaping @Sendable () -> UnixTime, pause: @escaping @Sendable (Duration) async -> Void,
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        (self.now, self.pause, self.report) = (now, pause, report)
    }

    /// A name for a tunnel that nobody has named: alone among the tunnels of an organization, so that a tunnel whose
    /// creation was not seen to the end can be found again.
    func newDisplayName() -> String {
        let digits = String(UInt32.random(in: .min ... .max), radix: 16)
        return "mcp-tunnel " + String(repeating: "0", count: 8 - digits.count) + digits
    }
}
