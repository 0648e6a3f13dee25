internal import TunnelCore

/// How many frames went through a tunnel.
package struct FrameCounts: Equatable, Sendable {
    package var received: UInt64 = 0
    package var sent: UInt64 = 0
    /// Pings and pongs among those received.
    package var heartbeats: UInt64 = 0
}

extension TunnelTransport {
    /// What came and went since this was last asked.
    package mutating func takeFrameCounts() -> FrameCounts {
        let all = FrameCounts(
            received: frames.frameCount, sent: framer.encoder.frameCount, heartbeats: frames.heartbeatCount)
        defer { counted = all }
        return FrameCounts(
            received: all.received &- counted.received, sent: all.sent &- counted.sent,
            heartbeats: all.heartbeats &- counted.heartbeats)
    }
}
