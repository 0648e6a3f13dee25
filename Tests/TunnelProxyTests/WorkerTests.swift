import Testing
import TunnelCore
import TunnelIO
import TunnelTLS
import TunnelTestSupport

@testable import TunnelProxy

@Suite struct WorkerTests {
    private static func shared() throws -> SharedState {
        let pair = try TestIdentity.shared.get()
        return SharedState(
            try ProxySnapshot(TestProxy.Settings().configuration()),
            credentials: try ServerCredentials(
                identity: TLSIdentity(certificates: pair.certificate, privateKey: pair.key)),
            log: LogRecorder().log())
    }

    /// A head that was given back already is given back once more at the end of its connection.
    @Test func aHeadWithoutStorageIsNoSpare() throws {
        let shared = try WorkerTests.shared()
        let hasStorage = try onLoop { loop in
            let worker = Worker(loop.reactor, shared)
            var (request, response) = (worker.heads.takeRequest(), worker.heads.takeResponse())
            let requestBytes = Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
            let responseBytes = Array("HTTP/1.1 200 OK\r\nServer: a\r\n\r\n".utf8)
            _ = try request.parse(requestBytes.span, limits: HeadLimits())
            _ = try response.parse(responseBytes.span, limits: HeadLimits(), requestMethod: .get)
            for _ in 0..<2 {
                worker.heads.give(&request)
                worker.heads.give(&response)
            }
            return [worker.heads.takeRequest().fields.capacity > 0, worker.heads.takeResponse().fields.capacity > 0]
        }
        #expect(hasStorage == [true, true])
    }

    /// The end of the proxy can come in the turn in which a request does. It is not begun: begun, it would be cut.
    @Test func aHeadBehindTheStopIsNotRead() throws {
        let shared = try WorkerTests.shared()
        let outcomes = try onLoop { loop in
            let worker = Worker(loop.reactor, shared)
            let (descriptor, peer) = try socketPair()
            let socket = try Socket(adopting: descriptor, on: loop.reactor)
            defer { socket.close() }
            let reader = RequestReader(socket, on: worker)
            peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n")
            await turns(on: loop.reactor)
            var outcomes: [String] = []
            for _ in 0..<2 {
                let outcome = await reader.nextHead(HeadLimits(), timeout: 1_000_000_000, idleTimeout: 0)
                outcomes.append("\(outcome)")
                if case .head(let size) = outcome { reader.consume(size) }
                reader.stop()
            }
            reader.close()
            return outcomes
        }
        #expect(outcomes == ["head(27)", "ended"])
    }
}
