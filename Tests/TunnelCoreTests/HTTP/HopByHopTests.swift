import Testing
import TunnelCore

@Suite struct HopByHopTests {
    /// The names of the fields that stay, of a request with the given lines.
    private func kept(_ lines: String) throws -> [String] {
        let source = "GET / HTTP/1.1\r\nHost: h\r\n\(lines)\r\n"
        return try HTTPSamples.request(source).fields.filter { !$0.isHopByHop }.map {
            HTTPSamples.text($0.name, of: source)
        }
    }

    @Test(arguments: [
        "Connection: x", "Keep-Alive: a", "Proxy-Connection: a", "TE: a", "Transfer-Encoding: chunked", "Upgrade: a",
        "HTTP2-Settings: a",
        "Proxy-Authenticate: a", "Proxy-Authorization: a", "Proxy-Authentication-Info: a", "cOnNeCtIoN:", "KEEP-ALIVE:",
    ]) func dropsByName(_ line: String) throws {
        #expect(try kept("A: b\r\n\(line)\r\nC: d\r\n") == ["Host", "A", "C"])
    }

    @Test(arguments: ["Trailer: a", "Via: a", "Expect: a", "Content-Length: 0", "Authorization: a", "Cookie: a"])
    func keepsTheRest(_ line: String) throws {
        let name = String(line.prefix { $0 != ":" })
        #expect(try kept("\(line)\r\n") == ["Host", name])
    }

    @Test(arguments: [
        ("Connection: x-a\r\nX-A: 1\r\nX-B: 2\r\nx-a: 3\r\n", ["Host", "X-B"]),
        ("X-A: 1\r\nX-B: 2\r\nConnection: close, X-B ,, X-A\r\n", ["Host"]),
        ("X-A: 1\r\nConnection: keep-alive\r\nconnection: x-a\r\n", ["Host"]),
        ("X-A: 1\r\nConnection: x-a-b, x\r\n", ["Host", "X-A"]),
        ("Close: 1\r\nConnection: close\r\n", ["Host", "Close"]),
        ("Content-Length: 5\r\nConnection: host, content-length, transfer-encoding\r\n", ["Host", "Content-Length"]),
        ("Trailer: a\r\nConnection: Trailer\r\n", ["Host"]),
        ("Connection:\r\nConnection: ,\r\n", ["Host"]),
    ]) func dropsWhatConnectionNames(_ lines: String, _ names: [String]) throws {
        #expect(try kept(lines) == names)
    }

    @Test(arguments: ["a b", "close;q=1", "\"close\"", "a=b", "caf\u{E9}", "close, (x)"])
    func refusesWhatIsNoToken(_ value: String) throws {
        let source = "GET / HTTP/1.1\r\nHost: h\r\nConnection: \(value)\r\n\r\n"
        let error = try #require(HTTPSamples.requestError(source))
        #expect(error.status == 400 && error.reason.contains("not a token"))
    }

    /// Counted over all Connection fields, with empty elements.
    @Test(arguments: [",", "a,"]) func optionsAreLimited(_ element: String) throws {
        func source(_ count: Int) -> String {
            let first = String(repeating: element, count: 10), second = String(repeating: element, count: count - 10)
            return "GET / HTTP/1.1\r\nHost: h\r\nConnection: \(first)\r\nConnection: \(second)\r\n\r\n"
        }
        #expect(HTTPSamples.requestError(source(HopByHop.maxConnectionOptions)) == nil)
        let error = try #require(HTTPSamples.requestError(source(HopByHop.maxConnectionOptions + 1)))
        #expect(error.status == 400 && error.reason.contains("Connection options"))
    }
}
