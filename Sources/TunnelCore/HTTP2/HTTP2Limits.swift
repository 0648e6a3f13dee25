/// What one peer may do to a connection too often: each has a counter of its own, and most end it with ENHANCE_YOUR_CALM.
@nonexhaustive
public enum HTTP2Abuse: Int, Sendable, CaseIterable {
    /// Streams that the peer opened and reset (CVE-2023-44487).
    case rapidReset
    /// Streams that we reset because of what the peer sent (CVE-2025-8671, MadeYouReset).
    case causedReset
    /// Streams beyond the number that may be open.
    case refusedStream
    /// Frames of a header block, or its bytes, or its fields once decoded.
    case headerBlock
    /// DATA frames that carry nothing.
    case emptyData
    /// DATA frames that carry next to nothing.
    case tinyData
    case settings
    case ping
    /// PRIORITY and PRIORITY_UPDATE.
    case priority
    case windowUpdate
    /// Frames of no effect: of unknown types, on streams that are closed, farewells; and interim responses (client), beyond a
    /// few for each request.
    case ignoredFrame
    /// Replies of ours that the peer does not read.
    case controlQueue
    /// Responses held by a window that does not move.
    case heldWindow
}

/// How often something may happen: so many at once, and so many more each second.
public struct HTTP2Rate: Sendable, Equatable {
    public var burst: Int
    public var perSecond: Int

    public init(burst: Int, perSecond: Int) {
        self.burst = burst
        self.perSecond = perSecond
    }
}

/// What a peer may spend on one connection. Times are in nanoseconds.
public struct HTTP2Limits: Sendable, Equatable {
    /// One header block, as decoded; as it comes it may have as many bytes.
    public var headers = HPACKLimits()
    public var maxContinuations = 8
    public var maxSettingsEntries = 32
    /// Streams of the peer that are open, or whose exchange has not released them: SETTINGS_MAX_CONCURRENT_STREAMS.
    public var maxStreams = 100
    /// Bytes of a body that may wait for their exchange: SETTINGS_INITIAL_WINDOW_SIZE.
    public var streamWindow = 65_535
    /// Bytes in flight on the whole connection. It opens as bytes arrive, so no stream that stands still holds the others;
    /// what can wait is bound by the windows of the streams.
    public var connectionWindow = 1 << 20
    /// SETTINGS_MAX_FRAME_SIZE.
    public var maxFrameSize = HTTP2FrameHeader.minMaxFrameSize
    /// Bytes of replies that wait to be sent.
    public var maxReplyBytes = 8_192
    /// Until the preface and the first SETTINGS are there.
    public var prefaceTimeout: UInt64 = 10_000_000_000
    /// Until our SETTINGS are acknowledged.
    public var settingsTimeout: UInt64 = 10_000_000_000
    /// Until a header block that has begun is whole.
    public var headerTimeout: UInt64 = 10_000_000_000
    /// For a body that waits for a window, until `windowProgress` bytes of it could go.
    public var windowTimeout: UInt64 = 30_000_000_000
    public var windowProgress = 4_096
    /// A DATA frame below this counts as tiny, unless it ends its stream.
    public var tinyData = 64
    /// Extended CONNECT may be used (RFC 8441).
    public var allowsConnectProtocol = true
    private var rates: [HTTP2Rate]

    public init() {
        rates = HTTP2Abuse.allCases.map { abuse in
            switch abuse {
            case .rapidReset, .causedReset, .refusedStream: HTTP2Rate(burst: 200, perSecond: 20)
            case .headerBlock: HTTP2Rate(burst: 20, perSecond: 2)
            case .emptyData: HTTP2Rate(burst: 100, perSecond: 10)
            case .tinyData: HTTP2Rate(burst: 5_000, perSecond: 1_000)
            case .settings: HTTP2Rate(burst: 20, perSecond: 1)
            case .ping: HTTP2Rate(burst: 100, perSecond: 10)
            case .priority: HTTP2Rate(burst: 400, perSecond: 100)
            // Each DATA frame of ours allows two more.
            case .windowUpdate: HTTP2Rate(burst: 1_000, perSecond: 100)
            case .ignoredFrame: HTTP2Rate(burst: 1_000, perSecond: 100)
            case .controlQueue, .heldWindow: HTTP2Rate(burst: 20, perSecond: 1)
            }
        }
    }

    public subscript(abuse: HTTP2Abuse) -> HTTP2Rate {
        get { rates[abuse.rawValue] }
        set { rates[abuse.rawValue] = newValue }
    }
}

/// One counter: what is left of a burst, refilled as time goes by.
struct HTTP2Budget: Sendable {
    private var left: Int
    private var refilled: UInt64

    init(_ rate: HTTP2Rate, now: UInt64) { (left, refilled) = (rate.burst, now) }

    /// - Returns: false once the rate is exceeded.
    mutating func spend(_ rate: HTTP2Rate, now: UInt64) -> Bool {
        if left < rate.burst, now > refilled, rate.perSecond > 0 {
            // A whole one is gained in so many nanoseconds; what is less stays for the next time.
            let each = 1_000_000_000 / UInt64(rate.perSecond)
            let gained = (now - refilled) / each
            if gained >= UInt64(rate.burst - left) {
                (left, refilled) = (rate.burst, now)
            } else {
                left += Int(gained)
                refilled += gained * each
            }
        } else if left == rate.burst {
            refilled = now
        }
        left -= 1
        return left >= 0
    }

    mutating func gain(_ count: Int, _ rate: HTTP2Rate) { left = min(rate.burst, left + count) }
}
