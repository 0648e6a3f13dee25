import Testing
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTestSupport

/// Which connection to an upstream a request may go out on, and which it must not.
@Suite struct UpstreamConnectionTests {
    /// What stands behind a response would be taken for the next one, which may be another client's.
    @Test func bytesBehindAResponseSpoilItsConnection() throws {
        let upstream = try Upstream { connection, number in
            while connection.readRequest() != nil { connection.send(okay("\(number)") + okay("of nobody")) }
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        #expect(try far.request().body == "1")
        #expect(try far.request().body == "2")
    }

    /// A login of these kinds holds for the connection: on it everybody would be who has logged in.
    @Test(arguments: ["NTLM", "Negotiate"]) func aConnectionWithALoginIsItsClientsOnly(_ scheme: String) throws {
        let upstream = try Upstream { connection, number in
            while connection.readRequest() != nil {
                connection.send(
                    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: \(scheme)\r\nContent-Length: 1\r\n\r\n\(number)")
            }
        }
        let proxy = try TestProxy(["a": upstream.port])
        let (one, other) = (try proxy.farSide(), try proxy.farSide())
        #expect(try one.request().body == "1")
        #expect(try other.request().body == "2")
        #expect(try one.request().body == "1")
        #expect(try other.request().body == "2")
    }

    /// What went up is not there any more, and the request without it would be another one.
    @Test func aRequestWhoseBodyHasGoneIsNotSentAgain() throws {
        let upstream = try Upstream { connection, number in
            guard connection.readRequest() != nil else { return }
            connection.send(okay("\(number)"))
            // The second request comes whole, and gets no response.
            if number == 1 { _ = connection.readRequest() } else { _ = connection.readHead() }
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        #expect(try far.request().body == "1")
        try far.send("PUT / HTTP/1.1\r\nHost: a.t.example\r\nContent-Length: 5\r\n\r\n")
        try far.roundTrip()
        try far.send("hello")
        #expect(try far.answer().status == 502)
        #expect(upstream.connections == 1)
    }
}
