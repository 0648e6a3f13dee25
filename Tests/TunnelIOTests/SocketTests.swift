import Glibc
import Testing
import TunnelCore
import TunnelIO

@Suite struct SocketTests {
    @Test func readsWhatIsThereThenWaitsThenSeesTheEnd() throws {
        let (descriptor, peer) = try socketPair()
        let pieces = try onLoop { loop in
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            defer { socket.close() }
            peer.send("one")
            loop.spawn { _ in
                peer.send("two")
                peer.shutDown()
            }
            return try await readAll(socket, on: loop.reactor)
        }
        #expect(pieces.joined() == "onetwo")
    }

    @Test func thereIsNothingBeforeAByteComes() throws {
        let (descriptor, peer) = try socketPair()
        let isNothing = try onLoop { loop in
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            defer { socket.close() }
            let before = try socket.receive(into: loop.reactor.scratch)
            let hadInput = socket.hasInput
            peer.send("x")
            await turns(on: loop.reactor)
            return before == nil && !hadInput && socket.hasInput
        }
        #expect(isNothing)
    }

    /// A buffer without room is no end: the bytes stay where they are.
    @Test func aFullBufferReadsNothing() throws {
        let (descriptor, peer) = try socketPair()
        peer.send("more")
        let results = try onLoop { loop in
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            defer { socket.close() }
            var buffer = ByteBuffer()
            buffer.append("full")
            let full = try socket.receive(into: &buffer, limit: 4)
            let more = try socket.receive(into: &buffer, limit: 8)
            return ("\(full)", "\(more)", String(decoding: buffer.array, as: UTF8.self))
        }
        #expect(results == ("nothing", "bytes(4)", "fullmore"))
    }

    /// Above what the kernel takes, bytes are kept, in order, and `flush` waits until they are gone.
    @Test(arguments: [1, 100_000, 3_000_000]) func sendsEverythingInOrder(_ count: Int) throws {
        let (descriptor, peer) = try socketPair()
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ ($0 >> 8)) }
        let received = OnThread { peer.receive(exactly: count) }
        let left = try onLoop { loop in
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            defer { socket.close() }
            _ = bytes[..<(count / 2)].withUnsafeBytes { socket.send($0) }
            _ = bytes[(count / 2)...].withUnsafeBytes { socket.send($0) }
            try await socket.flush()
            return socket.unsentCount
        }
        #expect(left == 0)
        #expect(received.value() == bytes)
    }

    @Test func backpressureHoldsTheFlush() throws {
        let (descriptor, peer) = try socketPair()
        let order = try onLoop { loop in
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            let reactor = loop.reactor
            let log = Box<[String]>([])
            let bytes = [UInt8](repeating: 7, count: 4_000_000)
            _ = bytes.withUnsafeBytes { socket.send($0) }
            #expect(socket.unsentCount > 0)
            reactor.spawn(with: Box2(socket, log)) { both in
                try? await both.first.flush()
                both.second.value.append("flushed")
                both.first.close()
            }
            await turns(5, on: reactor)
            log.value.append("nobody reads")
            let reading = OnThread { peer.receive(exactly: 4_000_000).count }
            while !socket.isClosed { await Task.yield() }
            log.value.append("\(reading.value() ?? 0)")
            return log.value
        }
        #expect(order == ["nobody reads", "flushed", "4000000"])
    }

    @Test func closingEndsBothWaits() throws {
        let (descriptor, peer) = try socketPair()
        let outcome = try onLoop { loop in
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            let log = Box<[String]>([])
            _ = [UInt8](repeating: 1, count: 4_000_000).withUnsafeBytes { socket.send($0) }
            loop.reactor.spawn(with: Box2(socket, log)) { both in
                await both.first.readable()
                both.second.value.append("read")
            }
            loop.reactor.spawn(with: Box2(socket, log)) { both in
                do throws(IOError) { try await both.first.flush() } catch { both.second.value.append("\(error)") }
            }
            _ = try socket.receive(into: loop.reactor.scratch)
            await turns(on: loop.reactor)
            socket.close(IOError(.timedOut, "read"))
            await turns(on: loop.reactor)
            #expect(throws: IOError.self) { try socket.receive(into: loop.reactor.scratch) }
            await socket.readable()
            return log.value.sorted()
        }
        #expect(outcome == ["read", "read: i/o timeout"])
        #expect(peer.isAtEnd())
    }

    /// Whoever waits for the other side's end hears of it, also while there are bytes to be read.
    @Test func theOthersEndIsTold() throws {
        let (descriptor, peer) = try socketPair()
        let (before, isTold, after, piping) = try onLoop { loop in
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            defer { socket.close() }
            let isTold = Box(false)
            socket.onEnd = { isTold.value = true }
            peer.send("last words")
            await turns(on: loop.reactor)
            let before = socket.ended
            peer.shutDown()
            _ = await turns(on: loop.reactor) { socket.sawHangUp }
            let after = socket.ended
            socket.readsBeforeEnd = true
            return (before, isTold.value, after, socket.ended)
        }
        #expect(before == nil && isTold && after == .lost && piping == nil)
    }

    /// Before anybody has reported it.
    @Test func anEndIsInput() throws {
        let (descriptor, peer) = try socketPair()
        let hasInput = try onLoop { loop in
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            defer { socket.close() }
            let before = socket.hasInput
            await turns(on: loop.reactor)
            let (other, otherPeer) = try socketPair()
            otherPeer.shutDown()
            let ended = try Socket(adopting: other, on: loop.reactor)
            defer { ended.close() }
            return (before, ended.hasInput)
        }
        withExtendedLifetime(peer) {}
        #expect(hasInput == (false, true))
    }

    /// A peer that takes nothing for so long has stalled.
    @Test func aFlushEndsWithAPeerThatStalls() throws {
        let (descriptor, peer) = try socketPair()
        let code = try onLoop { loop in
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            defer { socket.close() }
            _ = [UInt8](repeating: 7, count: 1_000_000).withUnsafeBytes { socket.send($0) }
            #expect(socket.unsentCount > 0)
            do throws(IOError) {
                try await socket.flush(stall: 50_000_000)
                return nil as IOError.Code?
            } catch { return error.code }
        }
        #expect(code == .timedOut)
        withExtendedLifetime(peer) {}
    }

    @Test func resetTellsThePeer() throws {
        let listener = try Listener(.loopback(0), isShared: false)
        let address = listener.address
        let error = try onLoop { loop in
            let (socket, _) = try await Connector.connect(to: [address], timeout: 5_000_000_000, on: loop.reactor)
            let peer = try listener.accept()
            socket.reset(IOError(.closed, "test"))
            return peer.receive() == nil ? errno : 0
        }
        #expect(error == ECONNRESET)
    }

    @Test func aResetByThePeerFailsReadsAndWrites() throws {
        let listener = try Listener(.loopback(0), isShared: false)
        let address = listener.address
        let errors = try onLoop { loop in
            let (socket, _) = try await Connector.connect(to: [address], timeout: 5_000_000_000, on: loop.reactor)
            defer { socket.close() }
            do {
                let peer = try listener.accept()
                var value = linger(l_onoff: 1, l_linger: 0)
                setsockopt(peer.descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
            }
            await turns(on: loop.reactor)
            var errors: [String] = []
            do { _ = try socket.receive(into: loop.reactor.scratch) } catch { errors.append("\(error)") }
            _ = [1].withUnsafeBytes { socket.send($0) }
            do { try await socket.flush() } catch { errors.append("\(error)") }
            return errors
        }
        #expect(errors == ["read: connection reset by peer", "read: connection reset by peer"])
    }

    /// The peer reads no more, but what it has said is still to be read.
    @Test func aWriteThatFailsLeavesReading() throws {
        let (descriptor, peer) = try socketPair()
        peer.send("last words")
        shutdown(peer.descriptor, CInt(SHUT_RD))
        let (text, error) = try onLoop { loop in
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            defer { socket.close() }
            _ = [1, 2, 3].withUnsafeBytes { socket.send($0) }
            let error = socket.writeFailure
            let count = try socket.receive(into: loop.reactor.scratch) ?? 0
            return (String(decoding: loop.reactor.scratch[..<count], as: UTF8.self), error)
        }
        #expect(text == "last words")
        #expect(error?.code == .system(EPIPE))
    }

    @Test func aReaderIsToldOfBytesAndOfTheBoundedTurn() throws {
        let (descriptor, peer) = try socketPair()
        let calls = try onLoop { loop in
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            defer { socket.close() }
            let reader = CountingReader(socket)
            socket.reader = reader
            peer.send("abc")
            await turns(on: loop.reactor)
            let afterBytes = reader.calls
            socket.continueNextTurn()
            await turns(on: loop.reactor)
            return (afterBytes, reader.calls, reader.bytes)
        }
        #expect(calls.0 >= 1)
        #expect(calls.1 == calls.0 + 1)
        #expect(calls.2 == 3)
    }

    @Test func aClosedSocketsRegistrationMeansNobody() throws {
        let (first, firstPeer) = try socketPair()
        let (second, _) = try socketPair()
        let calls = try onLoop { loop in
            let old = try Socket(adopting: first, on: loop.reactor)
            let oldReader = CountingReader(old)
            old.reader = oldReader
            old.continueNextTurn()
            old.close()
            // Takes the slot that the old one had; the report that is under way must not reach it.
            let new = try Socket(adopting: second, on: loop.reactor)
            defer { new.close() }
            let newReader = CountingReader(new)
            await turns(on: loop.reactor)
            new.reader = newReader
            old.continueNextTurn()
            await turns(on: loop.reactor)
            return (oldReader.calls, newReader.calls)
        }
        withExtendedLifetime(firstPeer) {}
        #expect(calls == (0, 0))
    }

    private func readAll(_ socket: Socket, on reactor: Reactor) async throws -> [String] {
        var pieces: [String] = []
        while true {
            guard let count = try socket.receive(into: reactor.scratch) else {
                await socket.readable()
                continue
            }
            if count == 0 { return pieces }
            pieces.append(String(decoding: reactor.scratch[..<count], as: UTF8.self))
        }
    }
}

/// Reads all and counts how often it was asked to.
private final class CountingReader: SocketReader {
    private unowned let socket: Socket
    private(set) var calls = 0
    private(set) var bytes = 0

    init(_ socket: Socket) { self.socket = socket }

    func socketBecameReadable() {
        calls += 1
        while let count = try? socket.receive(into: socket.reactor.scratch), count > 0 { bytes += count }
    }

    func socketFailed(_ error: IOError) {}
}
