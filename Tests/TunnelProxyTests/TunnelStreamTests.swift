import Glibc
import Testing
import TunnelCore
import TunnelIO
import TunnelTestSupport

@testable import TunnelProxy

@Suite struct TunnelStreamTests {
    /// Handshake, data, a ping and the close, cut in two at every place: the outcome is always the same.
    @Test func anySplitGivesTheSame() throws {
        try onLoop { loop in
            var size = 1
            var cut = 0
            while cut < size {
                let rig = try StreamRig(on: loop.reactor)
                let first = try rig.far.firstFlight()
                deliver(first, to: rig, cutAt: cut)
                try rig.answer()
                let second = try rig.collect() + closingFlight(rig.far)
                deliver(second, to: rig, cutAt: cut)
                try rig.answer()
                size = max(first.count, second.count)
                expectOutcome(rig, "cut at \(cut)")
                cut += 1
            }
        }
    }

    @Test func aByteAtATimeGivesTheSame() throws {
        try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor)
            for byte in try rig.far.firstFlight() { rig.deliver([byte]) }
            try rig.answer()
            for byte in try rig.collect() + closingFlight(rig.far) { rig.deliver([byte]) }
            try rig.answer()
            expectOutcome(rig, "bytes")
        }
    }

    private func closingFlight(_ far: FarSide) throws -> [UInt8] {
        try far.encrypted(Array("hello ".utf8)) + far.frame(Array("p".utf8), .ping)
            + far.encrypted(Array("world".utf8)) + far.closeNotify() + far.closeFrame(.normal)
    }

    private func deliver(_ bytes: [UInt8], to rig: StreamRig, cutAt cut: Int) {
        if cut > 0 { rig.deliver(Array(bytes.prefix(cut))) }
        if cut < bytes.count { rig.deliver(Array(bytes.dropFirst(cut))) }
    }

    private func expectOutcome(_ rig: StreamRig, _ comment: Comment) {
        #expect(String(decoding: rig.take(), as: UTF8.self) == "hello world", comment)
        #expect(rig.stream.end == .closed, comment)
        #expect(rig.far.events == ["pong p", "close_notify", "close 1000"], comment)
    }

    // MARK: Upgrade and early bytes

    /// A whole frame may come in one packet with the upgrade request.
    @Test func bytesBehindTheUpgradeAreTakenAtOnce() throws {
        let events = try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor, starts: false)
            let ping = rig.far.frame(Array("early".utf8), .ping)
            rig.stream.start(early: ping)
            try rig.answer()
            return rig.far.events
        }
        #expect(events == ["pong early"])
    }

    @Test func aHandshakeMayBeginBehindTheUpgrade() throws {
        try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor, starts: false)
            let flight = try rig.far.firstFlight()
            rig.stream.start(early: Array(flight[..<100]))
            rig.deliver(Array(flight[100...]))
            try rig.answer()
            rig.deliver(rig.collect())
            #expect(rig.stream.isHandshakeComplete)
        }
    }

    // MARK: Broken frames

    struct Broken: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let bytes: [UInt8]
        let code: Int
    }

    @Test(arguments: [
        Broken(testDescription: "text", bytes: [0x81, 0x81, 0, 0, 0, 0, 0x41], code: 1003),
        Broken(testDescription: "unmasked", bytes: [0x82, 0x01, 0x41], code: 1002),
        Broken(testDescription: "reserved bit", bytes: [0xC2, 0x81, 0, 0, 0, 0, 0x41], code: 1002),
        Broken(testDescription: "reserved opcode", bytes: [0x83, 0x81, 0, 0, 0, 0, 0x41], code: 1002),
        Broken(testDescription: "long ping", bytes: [0x89, 0xFE, 0, 126, 0, 0, 0, 0], code: 1002),
        Broken(testDescription: "fragmented ping", bytes: [0x09, 0x80, 0, 0, 0, 0], code: 1002),
        Broken(testDescription: "stray continuation", bytes: [0x80, 0x81, 0, 0, 0, 0, 0x41], code: 1002),
        Broken(testDescription: "over the limit", bytes: [0x82, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0], code: 1009),
    ]) func aBrokenFrameEndsTheTunnel(_ broken: Broken) throws {
        let (events, end) = try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor)
            try rig.shakeHands()
            rig.deliver(broken.bytes)
            // Whatever comes behind is not looked at.
            rig.deliver(broken.bytes + rig.far.frame([], .ping))
            try rig.answer()
            return (rig.far.events, rig.stream.end)
        }
        #expect(events == ["close \(broken.code)"])
        guard case .failed = end else {
            Issue.record("ended as \(String(describing: end))")
            return
        }
    }

    @Test func garbageInsteadOfTLSIsAnsweredByAnAlert() throws {
        let (end, error, events) = try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor)
            rig.deliver(rig.far.frame(Array("GET / HTTP/1.1\r\n\r\n".utf8)))
            // A frame with an alert, then the close; TLS in the far side has not begun and cannot read it.
            let bytes = rig.wire.receiveNow()
            return (rig.stream.end, rig.stream.handshakeError, bytes)
        }
        #expect(error != nil)
        #expect(events.suffix(4) == [0x88, 0x02, 0x03, 0xE8])
        guard case .failed = end else {
            Issue.record("ended as \(String(describing: end))")
            return
        }
    }

    // MARK: Ends

    @Test func theConnectionsEndIsALoss() throws {
        let ends = try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor)
            var count = 0
            rig.stream.onEnd = { count += 1 }
            rig.wire.shutDown()
            rig.socket.ready([.read, .hangUp])
            rig.socket.ready([.read, .hangUp])
            return (rig.stream.end, count)
        }
        #expect(ends.0 == .lost && ends.1 == 1)
    }

    @Test func aCloseFrameAloneIsAnswered() throws {
        let (end, events) = try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor)
            try rig.shakeHands()
            rig.deliver(rig.far.closeFrame(.goingAway))
            try rig.answer()
            return (rig.stream.end, rig.far.events)
        }
        #expect(end == .closed)
        #expect(events == ["close_notify", "close 1001"])
    }

    /// close_notify, then the WebSocket's close, then FIN.
    @Test func closesInOrder() throws {
        let (events, isClosed) = try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor)
            try rig.shakeHands()
            "bye".bytes { #expect(rig.stream.send($0) == .room) }
            loop.reactor.spawn(with: rig) { await $0.stream.close(.normal) }
            await turns(on: loop.reactor)
            try rig.answer()
            var events = [rig.far.plaintext.text] + rig.far.events
            if rig.wire.receive()?.isEmpty == true { events.append("fin") }
            let wasOpen = !rig.socket.isClosed
            rig.wire.send(rig.far.closeFrame(.normal))
            rig.wire.shutDown()
            let isClosed = await turns(on: loop.reactor) { rig.socket.isClosed }
            return (events, wasOpen && isClosed)
        }
        #expect(events == ["bye", "close_notify", "close 1000", "fin"])
        #expect(isClosed)
    }

    @Test func anAbortSaysNoCloseNotify() throws {
        let (events, plain) = try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor)
            try rig.shakeHands()
            loop.reactor.spawn(with: rig) { await $0.stream.abort(.goingAway) }
            await turns(on: loop.reactor)
            try rig.answer()
            rig.wire.shutDown()
            _ = await turns(on: loop.reactor) { rig.socket.isClosed }
            let other = try StreamRig(on: loop.reactor)
            try other.shakeHands()
            await other.stream.abort(nil)
            try other.answer()
            return (rig.far.events, other.far.events)
        }
        #expect(events == ["close 1001"])
        #expect(plain == [])
    }

    /// Closing goes on reading, also where reading was paused: closing with unread bytes would reset the connection and
    /// could destroy what was sent last.
    @Test func closingTakesWhatTheFarSideStillSends() throws {
        let (events, isClosed) = try onLoop { loop in
            var settings = TunnelStream.Settings()
            settings.highWater = 16 * 1024
            let rig = try StreamRig(on: loop.reactor, settings: settings)
            try rig.shakeHands()
            let piece = try rig.far.encrypted([UInt8](repeating: 1, count: 16 * 1024))
            rig.deliver(piece)
            rig.deliver(try rig.far.encrypted([UInt8](repeating: 2, count: 16 * 1024)))
            // The loop's own reports of these bytes come and go while it is paused.
            await turns(on: loop.reactor)
            #expect(rig.stream.pendingCount < 20 * 1024)
            loop.reactor.spawn(with: rig) { await $0.stream.close(.normal) }
            await turns(on: loop.reactor)
            rig.wire.shutDown()
            let isClosed = await turns(on: loop.reactor) { rig.socket.isClosed }
            try rig.far.take(rig.wire.receive() ?? [])
            let end = rig.wire.receive() == nil ? "reset" : "fin"
            return (rig.far.events + [end], isClosed)
        }
        #expect(events == ["close_notify", "close 1000", "fin"])
        #expect(isClosed)
    }

    /// A far side that takes nothing more has gone, and whoever writes hears of it.
    @Test func aFailedWriteEndsTheTunnel() throws {
        let (end, isTold) = try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor)
            try rig.shakeHands()
            var isTold = false
            rig.stream.onEnd = { isTold = true }
            shutdown(rig.wire.descriptor, CInt(SHUT_RD))
            "more".bytes { _ = rig.stream.send($0) }
            try? await rig.stream.flush(stall: 0)
            return (rig.stream.end, isTold)
        }
        #expect(end == .lost)
        #expect(isTold)
    }

    // MARK: Memory

    /// Above the mark the socket is left alone, however much the far side has to say; then all of it comes, in order.
    @Test func pausingBoundsTheMemory() throws {
        let (most, isWhole) = try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor)
            try rig.shakeHands()
            let count = 4 << 20
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 ^ ($0 >> 8)) }
            var frames: [UInt8] = []
            for start in stride(from: 0, to: count, by: 30_000) {
                frames += try rig.far.encrypted(Array(bytes[start..<min(count, start + 30_000)]))
            }
            let wire = rig.wire
            let sending = OnThread { [frames] in wire.send(frames) }
            var received: [UInt8] = []
            var most = 0
            while received.count < count, rig.stream.end == nil {
                await rig.stream.readable()
                await turns(2, on: loop.reactor)
                most = max(most, rig.stream.pendingCount)
                let part = rig.take(limit: 10_000)
                received += part
                rig.consume(part.count)
            }
            return (most, received == bytes && sending.value() == true)
        }
        #expect(isWhole)
        // The mark, one read of the socket, and a record that TLS held until it was whole.
        #expect(most >= 64 * 1024 && most <= 64 * 1024 + Reactor.scratchSize + 16 * 1024)
    }

    // MARK: Heartbeat

    @Test func pingsAreSent() throws {
        let events = try onLoop { loop in
            var settings = TunnelStream.Settings()
            settings.pingInterval = 1_000_000
            let rig = try StreamRig(on: loop.reactor, settings: settings)
            defer { rig.stream.cut() }
            _ = await turns(on: loop.reactor) {
                (try? rig.answer()) != nil && rig.far.events.count >= 2
            }
            return rig.far.events
        }
        #expect(events.prefix(2) == ["ping ", "ping "])
    }

    @Test func silenceEndsTheTunnel() throws {
        let (end, events) = try onLoop { loop in
            var settings = TunnelStream.Settings()
            settings.idleTimeout = 5_000_000
            let rig = try StreamRig(on: loop.reactor, settings: settings)
            try rig.shakeHands()
            _ = await turns(on: loop.reactor) { rig.stream.end != nil }
            try rig.answer()
            return (rig.stream.end, rig.far.events)
        }
        #expect(end == .idle)
        #expect(events == ["close_notify", "close 1001"])
    }

    /// While we do not read, silence says nothing about the far side.
    @Test func aPausedTunnelIsNotIdle() throws {
        let end = try onLoop { loop in
            var settings = TunnelStream.Settings()
            settings.highWater = 16 * 1024
            settings.pingInterval = 1_000_000
            settings.idleTimeout = 5_000_000
            let rig = try StreamRig(on: loop.reactor, settings: settings)
            defer { rig.stream.cut() }
            try rig.shakeHands()
            rig.deliver(try rig.far.encrypted([UInt8](repeating: 1, count: 20 * 1024)))
            rig.deliver(rig.far.frame([], .ping))
            let start = loop.reactor.now
            _ = await turns(on: loop.reactor) { loop.reactor.now - start > 30_000_000 }
            return rig.stream.end
        }
        #expect(end == nil)
    }

    // MARK: Waiting

    @Test func aWaitCanBeEndedWithoutBytes() throws {
        let isDone = try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor)
            let isDone = Mark()
            loop.reactor.spawn(with: rig) { rig in
                await rig.stream.readable()
                rig.stream.cut()
            }
            await turns(on: loop.reactor)
            isDone.isSet = !rig.socket.isClosed
            rig.stream.wake()
            await turns(on: loop.reactor)
            return isDone.isSet && rig.socket.isClosed
        }
        #expect(isDone)
    }

    private final class Mark { var isSet = false }
}

extension ByteBuffer {
    var text: String { String(decoding: array, as: UTF8.self) }
}

extension String {
    func bytes(_ body: (UnsafeRawBufferPointer) -> Void) {
        Array(utf8).withUnsafeBytes { body($0) }
    }
}
