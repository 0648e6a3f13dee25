import Glibc
import Testing
import TunnelCore
import TunnelIO
import TunnelTestSupport

@testable import TunnelProxy

/// What a far side can make a tunnel keep: pongs, bytes of its own, buffers.
@Suite struct TunnelStreamPeerTests {
    private static let maxUnsentForPong = 64 * 1024

    /// Whoever asks without reading what was said gets no more of it.
    @Test func pongsForAPeerThatDoesNotReadAreBounded() throws {
        let (most, events) = try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor)
            try rig.shakeHands()
            fillSocket(rig)
            let before = rig.socket.unsentCount
            let ping = rig.far.frame([UInt8](repeating: 0x70, count: 125), .ping)
            var most = 0
            for _ in 0..<2_000 {
                rig.deliver(ping)
                most = max(most, rig.socket.unsentCount)
            }
            #expect(before > 0 && most > before)
            // A peer that reads again is answered again.
            while rig.socket.unsentCount > 0 {
                try rig.answer()
                rig.socket.ready(.write)
            }
            try rig.answer()
            let seen = rig.far.events.count
            rig.deliver(rig.far.frame(Array("again".utf8), .ping))
            try rig.answer()
            return (most, Array(rig.far.events.dropFirst(seen)))
        }
        #expect(most < TunnelStreamPeerTests.maxUnsentForPong + 127)
        #expect(events == ["pong again"])
    }

    /// What is left unsent beyond that are answers of TLS, which it asks for and does not read.
    @Test func whoLeavesTooMuchUnreadIsGivenUp() throws {
        let limit = 1 << 20
        let (below, above) = try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor)
            defer { rig.stream.cut() }
            try rig.shakeHands()
            fillSocket(rig)
            func send() { [UInt8](repeating: 1, count: 4_096).withUnsafeBytes { _ = rig.stream.send($0) } }
            let ping = rig.far.frame([0x70], .ping)
            while rig.socket.unsentCount <= limit - 5_000 { send() }
            rig.deliver(ping)
            let below = rig.stream.end
            while rig.socket.unsentCount <= limit { send() }
            rig.deliver(ping)
            return (below, rig.stream.end)
        }
        #expect(below == nil && above == .failed("takes no answers of TLS"))
    }

    /// Whoever was refused may have had so much on its way, and no more.
    @Test func aClosingTunnelDropsSoMuchAndNoMore() throws {
        let (isClosed, isClosedBeyond) = try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor)
            try rig.shakeHands()
            let piece = try rig.far.encrypted([UInt8](repeating: 1, count: 10_000))
            loop.reactor.spawn(with: rig) { await $0.stream.close(.normal, dropping: piece.count) }
            await turns(on: loop.reactor)
            rig.deliver(piece)
            let isClosed = rig.socket.isClosed
            rig.deliver([0])
            let isClosedBeyond = rig.socket.isClosed
            await turns(on: loop.reactor)
            return (isClosed, isClosedBeyond)
        }
        #expect(!isClosed && isClosedBeyond)
    }

    /// Nor does it get pings, which it would not see.
    @Test func pingsForAPeerThatDoesNotReadAreBounded() throws {
        let (before, after) = try onLoop { loop in
            var settings = TunnelStream.Settings()
            settings.pingInterval = 1_000_000
            let rig = try StreamRig(on: loop.reactor, settings: settings)
            defer { rig.stream.cut() }
            try rig.shakeHands()
            while rig.socket.unsentCount <= TunnelStreamPeerTests.maxUnsentForPong {
                [UInt8](repeating: 1, count: 16_384).withUnsafeBytes { _ = rig.stream.send($0) }
            }
            let (before, start) = (rig.socket.unsentCount, loop.reactor.now)
            _ = await turns(on: loop.reactor) { loop.reactor.now - start > 20_000_000 }
            return (before, rig.socket.unsentCount)
        }
        #expect(after == before)
    }

    /// A far side that has gone reads no response, also where we do not read because its bytes wait for an upstream.
    @Test(arguments: [true, false]) func aFarSideThatGoesWhileItsBytesAreHeldIsNoticed(_ isPausedFirst: Bool) throws {
        let (end, isTold) = try onLoop { loop in
            var settings = TunnelStream.Settings()
            settings.highWater = 16 * 1024
            let rig = try StreamRig(on: loop.reactor, settings: settings)
            try rig.shakeHands()
            var isTold = false
            rig.stream.onEnd = { isTold = true }
            let bytes =
                try rig.far.encrypted([UInt8](repeating: 1, count: 16 * 1024))
                + rig.far.encrypted([UInt8](repeating: 2, count: 16 * 1024))
            if isPausedFirst {
                rig.deliver(bytes)
                await turns(on: loop.reactor)
                #expect(rig.stream.end == nil && rig.stream.pendingCount > 0)
            } else {
                rig.wire.send(bytes)
            }
            shutdown(rig.wire.descriptor, CInt(SHUT_RDWR))
            _ = await turns(on: loop.reactor) { rig.stream.end != nil }
            return (rig.stream.end, isTold)
        }
        #expect(end == .lost && isTold)
    }

    /// A pipe is the exception: what was said before the end is still to be delivered.
    @Test func aPipeReadsBeforeTheEnd() throws {
        let (count, end) = try onLoop { loop in
            var settings = TunnelStream.Settings()
            settings.highWater = 16 * 1024
            let rig = try StreamRig(on: loop.reactor, settings: settings)
            try rig.shakeHands()
            rig.stream.readsBeforeEnd = true
            rig.deliver(try rig.far.encrypted([UInt8](repeating: 1, count: 20 * 1024)))
            rig.wire.send(
                try rig.far.encrypted([UInt8](repeating: 2, count: 20 * 1024)) + rig.far.closeNotify()
                    + rig.far.closeFrame(.normal))
            shutdown(rig.wire.descriptor, CInt(SHUT_RDWR))
            await turns(on: loop.reactor)
            var count = 0
            while true {
                let part = rig.take()
                rig.consume(part.count)
                count += part.count
                if part.isEmpty && rig.stream.ended != nil { break }
                await turns(1, on: loop.reactor)
            }
            return (count, rig.stream.ended)
        }
        #expect(count == 40 * 1024 && end == .orderly)
    }

    /// A tunnel that is silent holds no buffer of the pool: what was taken from it is there again.
    @Test func idleTunnelsGiveBuffersBack() throws {
        let (before, after) = try onLoop { loop in
            var rigs: [StreamRig] = []
            let reactor = loop.reactor
            stock(reactor)
            func addOne() throws {
                let rig = try StreamRig(on: reactor)
                try rig.shakeHands()
                // A record in two halves, plaintext that is taken, and a response.
                let bytes = try rig.far.encrypted([UInt8](repeating: 1, count: 20_000))
                rig.deliver(Array(bytes.prefix(10_000)))
                rig.deliver(Array(bytes.dropFirst(10_000)))
                // Into a buffer of the pool, as a reader does, which the stream has in its place then.
                var taken = reactor.buffers.take(atLeast: 1)
                _ = try rig.stream.receive(into: &taken, limit: .max)
                let count = taken.count
                #expect(count == 20_000)
                reactor.buffers.give(&taken)
                "response".bytes { _ = rig.stream.send($0) }
                try rig.answer()
                rigs.append(rig)
            }
            let before = reactor.buffers.spareCount
            for _ in 0..<20 { try addOne() }
            return (before, reactor.buffers.spareCount)
        }
        #expect(before == 8 && after == before)
    }

    /// Makes buffers of both sizes that are there to be taken, more than one tunnel needs at a time.
    private func stock(_ reactor: Reactor, _ count: Int = 4) {
        guard count > 0 else { return }
        var small = reactor.buffers.take(atLeast: 1)
        var large = reactor.buffers.take()
        stock(reactor, count - 1)
        reactor.buffers.give(&small)
        reactor.buffers.give(&large)
    }

    /// Sends until the kernel takes no more.
    private func fillSocket(_ rig: StreamRig) {
        while rig.socket.unsentCount == 0 {
            [UInt8](repeating: 1, count: 4_096).withUnsafeBytes { _ = rig.stream.send($0) }
        }
    }
}
