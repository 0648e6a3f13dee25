/// Where in a worker's words what is counted.
enum Layout {
    static let refusals = WorkerEvent.plain
    static let dials = refusals + UpstreamPolicy.Refusal.allCases.count
    static let limits = dials + DialResult.allCases.count
    static let abuses = limits + LimitHit.allCases.count
    static let closes = abuses + HTTP2Abuse.allCases.count
    static let lastSeen = closes + CloseKind.allCases.count
    static let handshakes = lastSeen + FarSideEvent.allCases.count
    static let failures = handshakes + HandshakeKind.count
    /// The places of the series of operations, by method and error.
    static let operations = failures + HandshakeFailure.count
    static let count = operations + OperationMethod.count * OperationError.allCases.count

    static let routesInBlock = 64
    static let seriesInBlock = 256
    /// Blocks of some 50 KB that are copied at once.
    static let blocksInPiece = 8
}

/// Where in a route's words what is counted.
enum RouteLayout {
    /// Of the slot, from 1; 0 where no request has come yet.
    static let generation = 0
    static let active = 1
    static let openEventStreams = 2
    static let bytesUp = 3
    static let bytesDown = 4
    static let failures = 5
    static let firstByte = failures + UpstreamFailure.allCases.count
    /// Place of the series, bucket, trace (two words), duration, time.
    static let exemplar = firstByte + SeriesLayout.count
    /// The places of the series of durations, by method and class of status.
    static let places = exemplar + 6
    static let count = places + methods.count * statuses.count

    /// In the order of ``place(_:_:)``.
    static let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "_OTHER"]
    /// Without a status: nobody was there for a response.
    static let statuses = ["", "1xx", "2xx", "3xx", "4xx", "5xx"]

    static func place(_ method: Method, _ status: UInt16) -> Int {
        let index =
            switch method {
            case .get: 0
            case .head: 1
            case .post: 2
            case .put: 3
            case .delete: 4
            case .connect: 5
            case .options: 6
            case .trace: 7
            case .patch: 8
            case .other: 9
            }
        return index * statuses.count + min(Int(status / 100), statuses.count - 1)
    }
}

/// Something that a worker counts and that has no route, as a place among its words.
package struct WorkerEvent: Sendable {
    let place: Int

    /// Those without a kind.
    static let plain = 6

    package static var tunnel: WorkerEvent { WorkerEvent(place: 0) }
    package static var frameIn: WorkerEvent { WorkerEvent(place: 1) }
    package static var frameOut: WorkerEvent { WorkerEvent(place: 2) }
    package static var retry: WorkerEvent { WorkerEvent(place: 3) }
    /// An upstream connection that serves a request at present.
    package static var activeConnection: WorkerEvent { WorkerEvent(place: 4) }
    /// A request that found a connection in the pool.
    package static var poolHit: WorkerEvent { WorkerEvent(place: 5) }

    package static func refusal(_ reason: UpstreamPolicy.Refusal) -> WorkerEvent {
        WorkerEvent(place: Layout.refusals + reason.place)
    }
    package static func dial(_ result: DialResult) -> WorkerEvent {
        WorkerEvent(place: Layout.dials + result.rawValue)
    }
    package static func limit(_ limit: LimitHit) -> WorkerEvent {
        WorkerEvent(place: Layout.limits + limit.rawValue)
    }
    /// A connection that HTTP/2 lost to what its peer did too often.
    package static func http2Abuse(_ kind: HTTP2Abuse) -> WorkerEvent {
        WorkerEvent(place: Layout.abuses + kind.rawValue)
    }
    package static func close(_ code: CloseKind) -> WorkerEvent {
        WorkerEvent(place: Layout.closes + code.rawValue)
    }
    package static func handshake(_ kind: HandshakeKind) -> WorkerEvent {
        WorkerEvent(place: Layout.handshakes + kind.place)
    }
    package static func handshakeFailure(_ failure: HandshakeFailure) -> WorkerEvent {
        WorkerEvent(place: Layout.failures + failure.place)
    }
}

extension UpstreamPolicy.Refusal {
    /// In `allCases`.
    fileprivate var place: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// The words of one histogram: a count for each bucket, and the sum.
enum SeriesLayout {
    /// Of the finest histogram; the others leave some unused.
    static let buckets = 19
    static let count = buckets + 1
}
