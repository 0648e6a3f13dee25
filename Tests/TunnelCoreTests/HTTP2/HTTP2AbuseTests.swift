import Testing

@testable import TunnelCore

private typealias H = HTTP2Harness
private func frame(_ type: HTTP2FrameType, _ flags: HTTP2Flags, _ stream: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
    HTTP2FrameTests.frame(type, flags, stream, payload)
}

/// Every counter: so often is fine, once more ends the connection with ENHANCE_YOUR_CALM.
@Suite struct HTTP2AbuseTests {
    /// Limits of `burst` at once and one each second for `abuse`, and no other counter in the way.
    private static func limits(_ abuse: HTTP2Abuse, burst: Int = 10) -> HTTP2Limits {
        var limits = HTTP2Limits()
        for other in HTTP2Abuse.allCases { limits[other] = HTTP2Rate(burst: 1 << 30, perSecond: 0) }
        limits[abuse] = HTTP2Rate(burst: burst, perSecond: 1)
        return limits
    }

    /// What a peer does time and again; `number` counts from 0.
    private static func act(_ abuse: HTTP2Abuse, _ number: Int) -> [UInt8] {
        let next = UInt32(number * 2 + 101)
        return switch abuse {
        case .rapidReset: H.get(next) + H.reset(next)
        case .causedReset: H.headers(next, ["a: b"])
        case .refusedStream: H.get(next)
        case .headerBlock: H.headers(next, HTTP2Samples.get + [String](repeating: "a: b", count: 300))
        case .emptyData: H.data(1, 0)
        case .tinyData: H.data(1, 1)
        case .settings: H.settings((.headerTableSize, 4_096))
        case .ping: frame(.ping, [], 0, [0, 0, 0, 0, 0, 0, 0, 0])
        case .priority:
            number % 2 == 0
                ? frame(.priority, [], next, [0, 0, 0, 0, 0])
                : frame(.priorityUpdate, [], 0, [0, 0, 0, 1, 0x75, 0x3D, 0x31])
        case .windowUpdate: H.windowUpdate(number % 2 == 0 ? 0 : 1, 1)
        case .ignoredFrame: frame(.init(rawValue: 0x77), [], 0)
        case .controlQueue, .heldWindow: []
        }
    }

    private static let repeatable = HTTP2Abuse.allCases.filter { $0 != .controlQueue && $0 != .heldWindow }

    @Test(arguments: repeatable) func endsTheConnection(_ abuse: HTTP2Abuse) {
        var limits = Self.limits(abuse)
        if abuse == .refusedStream { limits.maxStreams = 1 }
        // Of the settings that open a connection one counts.
        if abuse == .settings { limits[.settings] = HTTP2Rate(burst: 11, perSecond: 1) }
        var peer = HTTP2Harness(limits: limits)
        peer.feed(H.post(1))
        for number in 0..<10 {
            peer.feed(Self.act(abuse, number))
            for stream in stride(from: UInt32(101), to: peer.connection.lastPeerStream + 1, by: 2) {
                peer.connection.release(stream)
            }
        }
        #expect(peer.error == nil && peer.connection.abuse == nil)
        // A second later there is one more, and then none.
        peer.now += 1_000_000_000
        peer.feed(Self.act(abuse, 10))
        #expect(peer.error == nil)
        peer.feed(Self.act(abuse, 11))
        #expect(peer.error?.code == .enhanceYourCalm && peer.connection.abuse == abuse)
        #expect(peer.sent.last?.hasSuffix("ENHANCE_YOUR_CALM") == true)
    }

    /// GOAWAY ends nothing by itself; a peer says it once or twice.
    @Test func countsFarewells() {
        var peer = HTTP2Harness(limits: Self.limits(.ignoredFrame))
        let goAway = frame(.goAway, [], 0, [0, 0, 0, 0, 0, 0, 0, 0])
        for _ in 0..<10 { peer.feed(goAway) }
        #expect(peer.error == nil)
        peer.feed(goAway)
        #expect(peer.error?.code == .enhanceYourCalm && peer.connection.abuse == .ignoredFrame)
    }

    /// Acknowledgements of settings that nobody sent count as settings do.
    @Test func countsAcknowledgementsOfNothing() {
        var peer = HTTP2Harness(limits: Self.limits(.settings))
        for _ in 0..<9 { peer.feed(frame(.settings, .ack, 0)) }
        #expect(peer.error == nil)
        for _ in 0..<2 { peer.feed(frame(.settings, .ack, 0)) }
        #expect(peer.error?.code == .enhanceYourCalm && peer.connection.abuse == .settings)
    }

    /// What ends a stream is no empty or tiny frame to count.
    @Test func endsAreNotCounted() {
        var limits = Self.limits(.emptyData, burst: 0)
        limits[.tinyData] = HTTP2Rate(burst: 0, perSecond: 0)
        var peer = HTTP2Harness(limits: limits)
        peer.feed(H.post(1) + H.data(1, 0, end: true) + H.post(3) + H.data(3, 1, end: true))
        #expect(peer.error == nil)
    }

    /// Whoever reads our DATA may open its window as often as that takes.
    @Test func windowUpdatesGoWithData() {
        var peer = HTTP2Harness(limits: Self.limits(.windowUpdate))
        peer.feed(H.get(1))
        peer.respond(1)
        peer.offer(1 << 20, on: 1)
        for _ in 0..<60 {
            let turns = peer.turns(atMost: 1)
            #expect(turns.count == 1)
            peer.feed(H.windowUpdate(0, 16_384) + H.windowUpdate(1, 16_384))
        }
        #expect(peer.error == nil)
    }

    /// Replies that nobody reads: the queue is bound, whatever makes them.
    @Test func boundsTheQueueOfReplies() {
        var limits = Self.limits(.controlQueue)
        limits.maxReplyBytes = 17 * 5
        var connection = HTTP2Connection(isServer: true, limits: limits, now: 0)
        let ping = frame(.ping, [], 0, [0, 0, 0, 0, 0, 0, 0, 0])
        let start = H.preface + H.settings()
        var out = ByteBuffer()
        func feed(_ bytes: [UInt8]) -> HTTP2ErrorCode? {
            var position = 0
            do throws(HTTP2Error) {
                while try connection.receive(bytes.span, at: &position, now: 0) != .needMore {}
            } catch { return error.code }
            return nil
        }
        let step1 = feed(start)
        #expect(step1 == nil)
        connection.drainControl(into: &out)
        let step2 = feed(Array([[UInt8]](repeating: ping, count: 5).joined()))
        #expect(step2 == nil)
        let step3 = feed(ping)
        #expect(step3 == .enhanceYourCalm)
        #expect(connection.abuse == .controlQueue)
    }

    @Test func boundsABlockBeforeItIsDecoded() {
        var limits = HTTP2Limits()
        limits.headers.maxListSize = 20_000
        limits.maxContinuations = 1_000
        var peer = HTTP2Harness(limits: limits)
        peer.feed(frame(.headers, [], 1, [UInt8](repeating: 0x82, count: 16_000)))
        peer.feed(frame(.continuation, [], 1, [UInt8](repeating: 0x82, count: 4_000)))
        #expect(peer.error == nil)
        peer.feed(frame(.continuation, [], 1, [0x82]))
        #expect(peer.error?.code == .enhanceYourCalm && peer.connection.abuse == .headerBlock)
    }

    @Test func countsFramesOfABlockAndSettingsOfAFrame() {
        var peer = HTTP2Harness()
        peer.feed(frame(.headers, [], 1, [0x82]))
        for _ in 0..<8 { peer.feed(frame(.continuation, [], 1)) }
        #expect(peer.error == nil)
        peer.feed(frame(.continuation, [], 1))
        #expect(peer.error?.code == .enhanceYourCalm && peer.connection.abuse == .headerBlock)
        peer = HTTP2Harness()
        peer.feed(frame(.settings, [], 0, [UInt8](repeating: 0, count: 33 * 6)))
        #expect(peer.error?.code == .enhanceYourCalm && peer.connection.abuse == .settings)
    }

    /// Crumbs of a cookie, one byte each on the wire: far more than a list may have.
    @Test func countsCrumbs() {
        var peer = HTTP2Harness()
        peer.feed(
            frame(
                .headers, [], 1,
                H.block(HTTP2Samples.get) + [0x60, 0x03, 0x61, 0x3D, 0x31] + [UInt8](repeating: 0xBE, count: 16_000)))
        peer.feed(frame(.continuation, .endHeaders, 1, [UInt8](repeating: 0xBE, count: 16_000)))
        #expect(peer.error?.code == .enhanceYourCalm && peer.connection.abuse == .headerBlock)
    }
}

@Suite struct HTTP2DeadlineTests {
    private static let second: UInt64 = 1_000_000_000

    private static func expire(_ peer: inout HTTP2Harness) -> (event: HTTP2Event?, error: HTTP2Error?) {
        do throws(HTTP2Error) { return (try peer.connection.expire(now: peer.now), nil) } catch { return (nil, error) }
    }

    @Test func thePrefaceHasToCome() {
        var peer = HTTP2Harness(isOpen: false)
        peer.feed(Array(H.preface.dropLast()))
        #expect(peer.connection.deadline == peer.now + 10 * Self.second)
        peer.now += 10 * Self.second - 1
        let step4 = Self.expire(&peer)
        #expect(step4.error == nil)
        peer.now += 1
        let step5 = Self.expire(&peer)
        #expect(step5.error?.code == .enhanceYourCalm)
        #expect(peer.connection.deadline == nil)
    }

    @Test func settingsHaveToBeAcknowledged() {
        var peer = HTTP2Harness(isOpen: false)
        peer.feed(H.preface + H.settings())
        peer.now += 10 * Self.second
        let step6 = Self.expire(&peer)
        #expect(step6.error?.code == .settingsTimeout)
        peer = HTTP2Harness()
        #expect(peer.connection.deadline == nil)
    }

    @Test func aHeaderBlockHasToEnd() {
        var peer = HTTP2Harness()
        peer.feed(frame(.headers, [], 1, [0x82]))
        peer.now += 10 * Self.second - 1
        let step7 = Self.expire(&peer)
        #expect(step7.error == nil)
        peer.now += 1
        let step8 = Self.expire(&peer)
        #expect(step8.error?.code == .enhanceYourCalm && peer.connection.abuse == .headerBlock)
    }

    /// A window of the stream that opens by a byte now and then does not count as moving.
    @Test func aStreamsWindowHasToMove() {
        var peer = HTTP2Harness()
        peer.feed(H.settings((.initialWindowSize, 0)) + H.get(1) + H.get(3))
        for id in [UInt32(1), 3] {
            peer.respond(id)
            peer.offer(10_000, on: id)
        }
        for _ in 0..<29 {
            peer.now += Self.second
            peer.feed(H.windowUpdate(1, 1) + H.windowUpdate(3, 200))
            _ = peer.turns()
            let step9 = Self.expire(&peer)
            #expect(step9.event == nil)
        }
        peer.now += Self.second
        let step10 = Self.expire(&peer)
        #expect(step10.event == .reset(stream: 1, .enhanceYourCalm, isByPeer: false))
        let step11 = Self.expire(&peer)
        #expect(step11.event == nil)
        peer.drain()
        #expect(peer.sent.last == "reset 1 ENHANCE_YOUR_CALM")
        #expect(peer.connection.deadline ?? 0 > peer.now, "stream 3 has moved")
    }

    @Test func theConnectionsWindowHasToMove() {
        var peer = HTTP2Harness()
        peer.feed(H.settings((.initialWindowSize, 1 << 20)) + H.get(1))
        peer.respond(1)
        peer.offer(1 << 20, on: 1)
        _ = peer.turns()
        for _ in 0..<29 {
            peer.now += Self.second
            peer.feed(H.windowUpdate(0, 1))
            _ = peer.turns()
            let step12 = Self.expire(&peer)
            #expect(step12.error == nil)
        }
        peer.now += Self.second
        let step13 = Self.expire(&peer)
        #expect(step13.error?.code == .enhanceYourCalm && peer.connection.abuse == .heldWindow)
    }

    /// What waited for the connection's window is gone: nothing is due any more, and what comes later has its own time.
    @Test(arguments: 0..<4) func whoIsGoneIsNotHeld(_ way: Int) {
        var peer = HTTP2Harness()
        peer.feed(H.settings((.initialWindowSize, 1 << 20)) + H.get(1))
        peer.respond(1)
        peer.offer(1 << 20, on: 1)
        _ = peer.turns()
        #expect(peer.connection.deadline != nil)
        switch way {
        case 0: peer.feed(H.reset(1))
        case 1: peer.connection.reset(1, .internalError)
        case 2: peer.connection.release(1)
        default:
            // Its own window is taken back, and holds it from then on.
            peer.feed(H.settings((.initialWindowSize, 0)) + H.windowUpdate(0, 1))
            peer.now += Self.second
            _ = peer.turns()
        }
        #expect(peer.connection.deadline == (way < 3 ? nil : peer.now + 30 * Self.second))
        peer.now += 29 * Self.second + Self.second / 2
        let step = Self.expire(&peer)
        #expect(step.error == nil && step.event == nil)
    }

    /// A word about priority does not take a stream that has lost its window out of sight.
    @Test func priorityDoesNotHideAHeldStream() {
        var peer = HTTP2Harness()
        peer.feed(H.get(1))
        peer.respond(1)
        peer.offer(10_000, on: 1)
        peer.feed(H.settings((.initialWindowSize, 0)) + frame(.priorityUpdate, [], 0, [0, 0, 0, 1, 0x75, 0x3D, 0x31]))
        let turns = peer.turns()
        #expect(turns.isEmpty)
        peer.now += 30 * Self.second
        let step = Self.expire(&peer)
        #expect(step.event == .reset(stream: 1, .enhanceYourCalm, isByPeer: false))
    }

    /// Nothing waits: nothing is due, also on a window of 0.
    @Test func whoHasNothingToSendIsNotHeld() {
        var peer = HTTP2Harness()
        peer.feed(H.settings((.initialWindowSize, 10)) + H.get(1))
        peer.respond(1)
        peer.offer(10, on: 1)
        let step14 = peer.turns()
        #expect(step14.map(\.count) == [10])
        #expect(peer.connection.deadline == nil)
    }
}
