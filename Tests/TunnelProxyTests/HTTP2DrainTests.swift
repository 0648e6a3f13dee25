import Testing
import TunnelCore
import TunnelIO
import TunnelTestSupport

@testable import TunnelProxy

/// The end of a proxy, with clients of HTTP/2.
@Suite struct HTTP2DrainTests {
    /// By HTTP/2 a client is told first that there is a last request, and later which: what it asks between is begun, unless
    /// nobody waits for requests any more.
    @Test(arguments: [false, true]) func betweenTheTwoWordsOfHTTP2(_ isTooLate: Bool) throws {
        let state = try SharedState.forTests()
        let (isOpen, hasAsked) = (Flag(), Flag())
        let goesOn = ThreadSignal()
        let frames = try onLoop { loop in
            let listener = try Listener(.loopback(0), isShared: false)
            let worker = ProxyWorker(loop.reactor, state, loops: 1)
            loop.reactor.context = worker
            try worker.accept(from: listener, isShared: false)
            let port = listener.address.port
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
            if isTooLate { worker.takeNoMoreRequests() }
            goesOn.post()
            _ = await turns(on: loop.reactor) { hasAsked.isSet && (isTooLate || state.connections == 0) }
            worker.endConnections()
            _ = await turns(on: loop.reactor) { state.connections == 0 }
            worker.finish()
            return talk.value() ?? []
        }
        let last = isTooLate ? ["goaway 0"] : ["headers 1", "data 1", "goaway 1"]
        #expect(frames == ["goaway 2147483647"] + last)
        #expect(state.requestsCut == 0 && state.requests == 0)
    }
}
