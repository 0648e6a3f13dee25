import Testing
import TunnelCore
import TunnelIO
import TunnelTestSupport

@testable import TunnelProxy

/// The end of a proxy, with clients of HTTP/2.
@Suite struct HTTP2DrainTests {
    /// A client is told first that there is a last request, and later which. What it asks between is not begun once nobody
    /// waits for requests any more.
    @Test func noRequestBeginsAfterTheLastOnesWereTaken() throws {
        let state = try SharedState.forTests()
        let (isOpen, hasAsked) = (Flag(), Flag())
        let goesOn = ThreadSignal()
        let frames = try onWorker(of: state) { loop, worker, port in
            let talk = OnThread { () -> [String] in
                do {
                    let client = try HTTP2FarSide(port: port)
                    try client.roundTrip()
                    isOpen.set()
                    _ = goesOn.wait(seconds: 20)
                    try client.get(1, host: "x.t.example")
                    // Until it was seen, or the proxy has closed.
                    try client.roundTrip()
                    hasAsked.set()
                    return try client.runToEnd()
                } catch { return ["\(error)"] }
            }
            _ = await turns(on: loop.reactor) { isOpen.isSet }
            state.drain()
            worker.drainBegins()
            worker.takeNoMoreRequests()
            goesOn.post()
            _ = await turns(on: loop.reactor) { hasAsked.isSet }
            worker.endConnections()
            _ = await turns(on: loop.reactor) { state.connections == 0 }
            return talk.value() ?? []
        }
        #expect(frames == ["goaway 2147483647", "goaway 0"])
        #expect(state.requestsCut == 0 && state.requests == 0)
    }

    /// A client that does not answer has a second to hear that there is a last request, whatever else its connection waits for.
    @Test func theLastWordHasATimeOfItsOwn() throws {
        var settings = try TestProxy.Settings()
        settings.limits.keepAliveTimeout = .milliseconds(50)
        let state = try SharedState.forTests(settings.configuration())
        let time = try onLoop { loop in
            let worker = Worker(loop.reactor, state)
            let stream = GivenStream(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0])
            let server = HTTP2Server(
                stream, received: ByteBuffer(), UpstreamPools(on: worker), tunnel: 0, number: 1, clientAddress: [],
                on: worker)
            // The connection's own time begins with what it reads.
            var start: UInt64 = 0
            stream.onWait = { [unowned server] in
                start = loop.reactor.now
                server.drainBegins()
            }
            _ = await server.serve()
            server.close()
            return loop.reactor.now - start
        }
        #expect(time >= 1_000_000_000 && time < 15_000_000_000)
    }

    /// A response waits for the client's window, and with it the end of the proxy: its exchange is long over.
    @Test func aResponseThatWaitsForItsWindowIsUnderWay() throws {
        let upstream = try Upstream { connection, _ in
            while connection.readRequest() != nil { connection.send(okay("0123456789")) }
        }
        let log = LogRecorder()
        let state = try SharedState.forTests(TestProxy.Settings(["a": upstream.port]).configuration(), log: log.log())
        let goesOn = ThreadSignal()
        let frames = try onWorker(of: state) { loop, worker, port in
            let talk = OnThread { () -> [String] in
                do {
                    let client = try HTTP2FarSide(port: port, window: 4)
                    try client.get(1, host: "a.t.example")
                    _ = goesOn.wait(seconds: 20)
                    try client.open(1, by: 6)
                    return try client.runToEnd() + [String(decoding: client.body, as: UTF8.self)]
                } catch { return ["\(error)"] }
            }
            _ = await turns(on: loop.reactor) { !log.lines(with: "request finished").isEmpty }
            await turns(on: loop.reactor)
            #expect(state.requests == 1)
            state.drain()
            worker.takeNoMoreRequests()
            goesOn.post()
            _ = await turns(on: loop.reactor) { state.requests == 0 }
            worker.endConnections()
            _ = await turns(on: loop.reactor) { state.connections == 0 }
            return talk.value() ?? []
        }
        #expect(frames.last == "0123456789")
        #expect(state.requestsCut == 0 && state.requests == 0)
    }

    /// Who goes, or is cut, with a response that waits is counted no more.
    @Test(arguments: [true, false]) func aResponseThatWaitsForNobodyIsOver(_ isCut: Bool) throws {
        let upstream = try Upstream { connection, _ in
            while connection.readRequest() != nil { connection.send(okay("0123456789")) }
        }
        let log = LogRecorder()
        let state = try SharedState.forTests(TestProxy.Settings(["a": upstream.port]).configuration(), log: log.log())
        let goes = ThreadSignal()
        try onWorker(of: state) { loop, worker, port in
            let talk = OnThread { () -> Bool in
                guard let client = try? HTTP2FarSide(port: port, window: 4) else { return false }
                guard (try? client.get(1, host: "a.t.example")) != nil else { return false }
                return goes.wait(seconds: 20)
            }
            _ = await turns(on: loop.reactor) { !log.lines(with: "request finished").isEmpty }
            await turns(on: loop.reactor)
            #expect(state.requests == 1)
            if isCut { worker.cutConnections() } else { goes.post() }
            _ = await turns(on: loop.reactor) { state.connections == 0 }
            #expect(state.requests == 0)
            goes.post()
            #expect(talk.value() == true)
        }
    }

    /// Its head has come in the very turn in which all connections are closed, and its task has not run.
    @Test func aRequestThatIsCutBeforeItsExchangeBeginsIsCounted() throws {
        let upstream = try Upstream { connection, _ in
            while connection.readRequest() != nil { connection.send(okay()) }
        }
        let log = LogRecorder()
        let state = try SharedState.forTests(TestProxy.Settings(["a": upstream.port]).configuration(), log: log.log())
        try onLoop { loop in
            let worker = Worker(loop.reactor, state)
            let pools = UpstreamPools(on: worker)
            let host = "a.t.example"
            let block: [UInt8] = [0x82, 0x87, 0x84, 0x41, UInt8(host.utf8.count)] + host.utf8
            let stream = GivenStream(
                Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]
                    + [0, 0, UInt8(block.count), 1, 5, 0, 0, 0, 1] + block)
            let server = HTTP2Server(
                stream, received: ByteBuffer(), pools, tunnel: 0, number: 1, clientAddress: [], on: worker)
            stream.onEmpty = { [unowned server] in
                #expect(state.requests == 1)
                server.endNow()
            }
            _ = await server.serve()
            server.close()
            pools.closeAll()
        }
        #expect(state.requestsCut == 1 && state.requests == 0)
        #expect(log.lines(with: "request finished").count == 1 && upstream.connections == 0)
    }
}

/// A stream whose bytes are all there; what is sent goes nowhere.
private final class GivenStream: ByteStream {
    private var bytes: [UInt8]
    /// Called once, before the first wait for more.
    var onWait: (() -> Void)?
    /// Called once, when all was read.
    var onEmpty: (() -> Void)?
    var ended: StreamEnd?
    var onEnd: (() -> Void)?
    var readsBeforeEnd = false
    private var waiter: UnsafeContinuation<Void, Never>?

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func receive(into buffer: inout ByteBuffer, limit: Int) throws(IOError) -> Received {
        guard bytes.isEmpty else {
            buffer.append(bytes)
            defer { bytes = [] }
            return .bytes(bytes.count)
        }
        onEmpty?()
        onEmpty = nil
        return .nothing
    }

    func resumeWhenReadable(_ waiter: UnsafeContinuation<Void, Never>) {
        self.waiter = waiter
        let onWait = onWait
        self.onWait = nil
        onWait?()
    }
    func wake() {
        waiter?.resume()
        waiter = nil
    }
    func send(_ bytes: UnsafeRawBufferPointer) -> Room { .room }
    func flush(stall: UInt64) async throws(IOError) {}
    var hasSentAll: Bool { true }
}
