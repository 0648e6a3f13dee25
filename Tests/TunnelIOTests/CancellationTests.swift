import Testing
import TunnelCore
import TunnelIO

@Suite struct CancellationTests {
    @Test func endsAConnectThatGetsNoAnswer() throws {
        let full = try FullListener()
        let code = try onLoop { loop in
            let cancellation = Cancellation()
            let soon = Deadline(on: loop.reactor) { cancellation.cancel() }
            soon.set(after: 1_000_000)
            defer { soon.cancel() }
            do throws(DialError) {
                _ = try await Connector.connect(
                    to: [full.address], timeout: 15_000_000_000, cancellation: cancellation, on: loop.reactor)
                return IOError.Code.timedOut
            } catch { return error.error.code }
        }
        #expect(code == .closed)
    }

    @Test func onceCancelledNothingIsBegun() throws {
        let listener = try Listener(.loopback(0), isShared: false)
        let (code, isReady) = try onLoop { loop in
            let cancellation = Cancellation()
            cancellation.cancel()
            var code = IOError.Code.timedOut
            do throws(DialError) {
                _ = try await Connector.connect(
                    to: [listener.address], timeout: 1_000_000_000, cancellation: cancellation, on: loop.reactor)
            } catch { code = error.error.code }
            cancellation.reset()
            let (socket, _) = try await Connector.connect(
                to: [listener.address], timeout: 5_000_000_000, cancellation: cancellation, on: loop.reactor)
            defer { socket.close() }
            // What is over is out of its hand.
            cancellation.cancel()
            return (code, !socket.isClosed)
        }
        #expect(code == .closed)
        #expect(isReady)
    }
}
