import Testing
import TunnelCore
import TunnelIO

@Suite struct SocketTurnTests {
    /// Asks twice each time it is called, as a reader does that stops for two reasons.
    private final class Greedy: SocketReader {
        let socket: Socket
        var calls = 0
        init(_ socket: Socket) { self.socket = socket }

        func socketBecameReadable() {
            calls += 1
            socket.continueNextTurn()
            socket.continueNextTurn()
        }

        func socketFailed(_ error: IOError) {}
    }

    /// However often it asks, a reader has one call in the next turn: else its share would double with each.
    @Test func oneCallATurn() throws {
        let calls = try onLoop { loop in
            let (descriptor, peer) = try socketPair()
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            let reader = Greedy(socket)
            socket.reader = reader
            peer.send("x")
            await turns(10, on: loop.reactor)
            socket.close()
            return reader.calls
        }
        #expect((1...30).contains(calls))
    }

    /// The end that is said behind unsent bytes goes out behind them.
    @Test func theEndWaitsForTheKernel() throws {
        let (descriptor, peer) = try socketPair()
        let received = try onLoop { loop in
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            defer { socket.close() }
            _ = [UInt8](repeating: 7, count: 3_000_000).withUnsafeBytes { socket.send($0) }
            #expect(socket.unsentCount > 0)
            socket.shutdownWrite()
            let reading = OnThread { (peer.receive(exactly: 3_000_000).count, peer.isAtEnd()) }
            try await socket.flush()
            return reading.value().map { "\($0.0) \($0.1)" }
        }
        #expect(received == "3000000 true")
    }
}
