internal import TunnelCore

/// What is spoken inside of the TLS session, by its name for ALPN (RFC 7301 §6).
@nonexhaustive
public enum ApplicationProtocol: String, Sendable, CaseIterable {
    case http2 = "h2"
    case http1 = "http/1.1"
}

extension ProxyConfiguration {
    /// What one HTTP/2 connection may take (RFC 9113). How many streams it may have is `limits.max_requests_per_connection`,
    /// how large a head may be `limits.max_header_bytes` and `limits.max_headers`.
    ///
    /// Of what a peer may do only so often, as many are allowed at once, and a tenth more of it each second; who does it more
    /// often loses the connection, with ENHANCE_YOUR_CALM.
    public struct HTTP2: Sendable, Equatable {
        /// Bytes of a request's body that may wait for its upstream (§6.9.2).
        public var streamWindow = 65_535
        /// Bytes in flight on the whole connection (§6.9).
        public var connectionWindow = 1_048_576
        /// Bytes of a frame that we take (§4.2).
        public var maxFrameSize = 16_384
        /// Bytes of the table of the peer's header fields (RFC 7541 §4.2).
        public var headerTableSize = 4_096
        /// How long the peer may take to acknowledge our settings (§6.5.3).
        public var settingsTimeout = Duration.seconds(10)
        /// How long a response may wait for a window that does not move before its stream, or the connection, is given up.
        public var windowTimeout = Duration.seconds(30)
        /// Streams that the peer resets, lets us reset, or opens beyond their number.
        public var maxResets = 200
        /// SETTINGS frames.
        public var maxSettings = 20
        /// PING frames.
        public var maxPings = 100
        /// PRIORITY and PRIORITY_UPDATE frames.
        public var maxPriorityUpdates = 400
        /// WINDOW_UPDATE frames, beyond two for each DATA frame of ours.
        public var maxWindowUpdates = 1_000
        /// DATA frames that carry nothing and end nothing.
        public var maxEmptyFrames = 100
        /// DATA frames of less than 64 bytes that end nothing.
        public var maxTinyFrames = 5_000

        public init() {}
    }
}

extension ProxyConfiguration {
    /// The limits of a connection.
    var http2Limits: HTTP2Limits {
        var result = HTTP2Limits()
        result.headers.maxListSize = limits.maxHeaderBytes
        result.headers.maxFields = limits.maxHeaders
        result.headers.maxTableSize = http2.headerTableSize
        result.maxStreams = limits.maxRequestsPerConnection
        result.streamWindow = http2.streamWindow
        result.connectionWindow = http2.connectionWindow
        result.maxFrameSize = http2.maxFrameSize
        result.headerTimeout = limits.headerTimeout.nanoseconds
        result.settingsTimeout = http2.settingsTimeout.nanoseconds
        result.prefaceTimeout = http2.settingsTimeout.nanoseconds
        result.windowTimeout = http2.windowTimeout.nanoseconds
        for (abuse, burst) in [
            (HTTP2Abuse.rapidReset, http2.maxResets), (.causedReset, http2.maxResets),
            (.refusedStream, http2.maxResets),
            (.settings, http2.maxSettings), (.ping, http2.maxPings), (.priority, http2.maxPriorityUpdates),
            (.windowUpdate, http2.maxWindowUpdates), (.emptyData, http2.maxEmptyFrames),
            (.tinyData, http2.maxTinyFrames),
        ] {
            result[abuse] = HTTP2Rate(burst: burst, perSecond: max(1, burst / 10))
        }
        return result
    }
}
