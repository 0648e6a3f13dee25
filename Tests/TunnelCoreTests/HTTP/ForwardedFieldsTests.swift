import Testing
import TunnelCore

@Suite struct ForwardedFieldsTests {
    private func forwarded(
        _ lines: String, client: String, isSecure: Bool = true, version: Int = 1,
        extent: ForwardedFields.Extent? = .full
    ) throws -> String {
        let source = "GET / HTTP/1.\(version)\r\n\(lines)\r\n"
        let head = try HTTPSamples.request(source)
        var out = ByteBuffer()
        head.appendForwarded(
            HTTPSamples.bytes(source).span, framing: .none,
            forwarded: extent.map {
                ForwardedFields(clientAddress: Array(client.utf8), isSecure: isSecure, extent: $0)
            }, into: &out)
        return HTTPSamples.text(out.array)
    }

    @Test func writesItsOwn() throws {
        #expect(
            try forwarded("Host: h:1\r\n", client: "192.0.2.7") == """
                GET / HTTP/1.1\r\nHost: h:1\r\nForwarded: for=192.0.2.7;host="h:1";proto=https\r\n\
                X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Host: h:1\r\nX-Forwarded-Proto: https\r\n\r\n
                """)
    }

    @Test func quotesIPv6() throws {
        let result = try forwarded("Host: h\r\n", client: "2001:db8::1", isSecure: false)
        #expect(result.contains("\r\nForwarded: for=\"[2001:db8::1]\";host=\"h\";proto=http\r\n"))
        #expect(result.contains("\r\nX-Forwarded-For: 2001:db8::1\r\n"))
        #expect(result.contains("\r\nX-Forwarded-Proto: http\r\n"))
    }

    @Test func appendsToTheClients() throws {
        let lines = """
            X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nHost: h\r\nx-forwarded-for: 3.3.3.3\r\nX-Forwarded-For:\r\n\
            Forwarded: for=a\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: gopher\r\nA: 1\r\n
            """
        #expect(
            try forwarded(lines, client: "4.4.4.4") == """
                GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nForwarded: for=a, for=4.4.4.4;host="h";proto=https\r\n\
                X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 4.4.4.4\r\nX-Forwarded-Host: h\r\nX-Forwarded-Proto: https\r\n\r\n
                """)
    }

    @Test func whatConnectionNamesIsGone() throws {
        let result = try forwarded(
            "Host: h\r\nConnection: X-Forwarded-For\r\nX-Forwarded-For: 1.1.1.1\r\n", client: "4.4.4.4")
        #expect(result.contains("\r\nX-Forwarded-For: 4.4.4.4\r\n"))
    }

    @Test func unknownClientAndHost() throws {
        #expect(
            try forwarded("", client: "", version: 0) == """
                GET / HTTP/1.1\r\nHost: \r\nForwarded: for=unknown;proto=https\r\nX-Forwarded-For: unknown\r\n\
                X-Forwarded-Proto: https\r\n\r\n
                """)
    }

    // MARK: Host and scheme only

    @Test func writesWhatIsCertain() throws {
        #expect(
            try forwarded("A: 1\r\nHost: h:1\r\n", client: "192.0.2.7", extent: .hostAndProto) == """
                GET / HTTP/1.1\r\nA: 1\r\nHost: h:1\r\nX-Forwarded-Host: h:1\r\nX-Forwarded-Proto: https\r\n\r\n
                """)
        #expect(
            try forwarded("Host: h\r\n", client: "", isSecure: false, extent: .hostAndProto)
                == "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Host: h\r\nX-Forwarded-Proto: http\r\n\r\n")
        #expect(
            try forwarded("", client: "", version: 0, extent: .hostAndProto)
                == "GET / HTTP/1.1\r\nHost: \r\nX-Forwarded-Proto: https\r\n\r\n")
    }

    /// Who came before us stays; what says otherwise than we do of host and scheme goes.
    @Test func replacesTheClientsHostAndScheme() throws {
        let lines = """
            X-Forwarded-For: 1.1.1.1\r\nForwarded: for=a;host=evil;proto=http\r\nHost: h\r\nX-FORWARDED-HOST: evil\r\n\
            x-forwarded-proto: http\r\nA: 1\r\n
            """
        #expect(
            try forwarded(lines, client: "4.4.4.4", extent: .hostAndProto) == """
                GET / HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1\r\nHost: h\r\nA: 1\r\nX-Forwarded-Host: h\r\n\
                X-Forwarded-Proto: https\r\n\r\n
                """)
    }

    static let aliases = [
        "X_Forwarded_For", "x_forwarded-for", "X-Forwarded_For", "X_FORWARDED_HOST", "X-Forwarded.Host",
        "X_Forwarded_Proto", "X-Real-IP", "x_real_ip", "X-Forwarded-Port", "X_Forwarded_Port", "X-Forwarded-Prefix",
        "X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-Protocol", "X-Forwarded-Ssl",
    ]

    @Test(arguments: aliases, [ForwardedFields.Extent.hostAndProto, .full])
    func whatCouldPassForOursIsDropped(_ name: String, _ extent: ForwardedFields.Extent) throws {
        let without = try forwarded("A: 1\r\nHost: h\r\nB: 2\r\n", client: "4.4.4.4", extent: extent)
        let with = try forwarded(
            "A: 1\r\n\(name): evil\r\nHost: h\r\nB: 2\r\n\(name):evil\r\n", client: "4.4.4.4", extent: extent)
        #expect(with == without)
    }

    /// Where we say nothing, all of it passes byte for byte.
    @Test(arguments: aliases + ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"])
    func withoutOursAllPasses(_ name: String) throws {
        let source = "A: 1\r\n\(name): x\r\nHost: h\r\n"
        #expect(try forwarded(source, client: "", extent: nil) == "GET / HTTP/1.1\r\n\(source)\r\n")
    }

    /// `HTTP_PROXY` of a CGI program, whatever else is said.
    @Test(arguments: ["Proxy", "proxy", "PROXY"], [nil, ForwardedFields.Extent.hostAndProto, .full])
    func aProxyIsNeverNamed(_ name: String, _ extent: ForwardedFields.Extent?) throws {
        let without = try forwarded("A: 1\r\nHost: h\r\n", client: "4.4.4.4", extent: extent)
        let with = try forwarded("A: 1\r\n\(name): http://evil\r\nHost: h\r\n", client: "4.4.4.4", extent: extent)
        #expect(with == without)
    }
}
