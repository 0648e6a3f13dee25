import Testing
import TunnelCore

/// Which heads name a login that belongs to the connection.
@Suite struct ConnectionLoginTests {
    static let bound = [
        "NTLM", "ntlm TlRMTVNTUAAB", "Negotiate", "NEGOTIATE YIIJvwYGKwYBBQUCoIIJszCCCa+=", "Kerberos YII",
        "negotiate\tx",
        "Negotiate, NTLM", "Basic realm=\"a\", NTLM", "Basic realm=\"a, b\",Negotiate", "Bearer , , NTLM", ",NTLM",
        "Bearer realm=\"x, NTLM\"", "NTLM,",
    ]
    static let free = [
        "", "Basic YWxpY2U6eA==", "Bearer NTLM", "Bearer eyJhbGciOi.NTLM.x", "NTLMv2", "Negotiated x", "xNTLM",
        "Kerbero",
        "Digest username=\"NTLM\", realm=\"Negotiate\"", "DPoP x", "NTL", "NTLM2 x",
    ]
    static let names = [
        "Authorization", "authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate",
    ]

    @Test(arguments: names) func schemesAreFound(_ name: String) throws {
        for value in Self.bound {
            #expect(try request("A: 1\r\n\(name): \(value)\r\n").bindsConnection, "\(value)")
            #expect(try response("A: 1\r\n\(name):\(value)\r\n").bindsConnection, "\(value)")
            #expect(try response("\(name): Bearer x\r\n\(name): \(value)\r\n").bindsConnection, "\(value)")
        }
        for value in Self.free {
            #expect(try !request("\(name): \(value)\r\n").bindsConnection, "\(value)")
            #expect(try !response("\(name): \(value)\r\n").bindsConnection, "\(value)")
        }
    }

    @Test func persistentAuthSaysSo() throws {
        #expect(try response("Persistent-Auth: true\r\n").bindsConnection)
        #expect(try response("persistent-auth: false\r\n").bindsConnection)
        #expect(try !response("Persistent: NTLM\r\nX-Auth: Negotiate\r\n").bindsConnection)
        #expect(try !request("Cookie: NTLM\r\n").bindsConnection)
    }

    /// A head that is used again says nothing of the one before.
    @Test func aHeadForgets() throws {
        var head = try request("Authorization: NTLM x\r\n")
        head.reset()
        let plain = HTTPSamples.bytes("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(try head.parse(plain.span) == plain.count)
        #expect(!head.bindsConnection && head.first(.authorization) == nil)
    }

    private func request(_ lines: String) throws -> RequestHead {
        try HTTPSamples.request("GET / HTTP/1.1\r\nHost: h\r\n\(lines)\r\n")
    }

    private func response(_ lines: String) throws -> ResponseHead {
        let bytes = HTTPSamples.bytes("HTTP/1.1 401 Unauthorized\r\n\(lines)Content-Length: 0\r\n\r\n")
        var head = ResponseHead()
        #expect(try head.parse(bytes.span, requestMethod: .get) == bytes.count)
        return head
    }
}
