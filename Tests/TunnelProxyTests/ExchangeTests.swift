import Testing
import TunnelCore

@Suite struct ExchangeTests {
    @Test func aRequestGoesThroughAndTheTunnelStays() throws {
        let upstream = try Upstream.answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        for _ in 0..<3 {
            let answer = try far.request()
            #expect(answer.status == 200 && answer.body == "hi" && answer.isWhole)
        }
        #expect(upstream.connections == 1)
        #expect(proxy.finished(3).contains("end=complete"))
    }
}
