import Testing
import TunnelCore

@Suite struct RouteTableTests {
    static let domain = "abcd1234.tunnel.example"

    static func table(_ domain: String? = domain) throws -> RouteTable {
        let hosts = [
            "echo", "Auth", "a.b", "full.example", "wins.abcd1234.tunnel.example", "wins", "10.0.0.1", "[fd00::1]",
            "fd00:0::2", "dotted.example.", "123", "0x7f",
        ]
        return try RouteTable(routes: hosts.enumerated().map { ($1, $0) }, tunnelDomain: domain)
    }

    static let vectors: [(String, Int?)] = [
        // Below the tunnel domain.
        ("echo.abcd1234.tunnel.example", 0), ("ECHO.ABCD1234.Tunnel.Example.", 0),
        ("echo.abcd1234.tunnel.example:443", 0),
        ("auth.abcd1234.tunnel.example", 1), ("a.b.abcd1234.tunnel.example", 2), ("b.abcd1234.tunnel.example", nil),
        ("x.echo.abcd1234.tunnel.example", nil), ("echo.x.abcd1234.tunnel.example", nil),
        ("abcd1234.tunnel.example", nil),
        (".abcd1234.tunnel.example", nil), ("..abcd1234.tunnel.example", nil), ("echo..abcd1234.tunnel.example", nil),
        ("echoabcd1234.tunnel.example", nil), ("echo-abcd1234.tunnel.example", nil), ("echo.tunnel.example", nil),
        ("echo.abcd1234.tunnel.example.evil.example", nil), ("echo.xabcd1234.tunnel.example", nil),
        ("echo.abcd1234.tunnel.examplex", nil), ("echo.abcd1234.tunnel.example..", nil),
        // As long as ours, and another's.
        ("echo.abcd1234.tunnel.exampla", nil), ("echo.zbcd1234.tunnel.example", nil),
        ("echo.abcd1234-tunnel.example", nil),
        // The whole name comes first.
        ("wins.abcd1234.tunnel.example", 4), ("wins", 5), ("echo", 0), ("full.example", 3), ("FULL.example:80", 3),
        ("full.example.abcd1234.tunnel.example", 3), ("dotted.example", 9), ("dotted.example.", 9),
        // A label may be a number.
        ("123.abcd1234.tunnel.example", 10), ("0X7F.abcd1234.tunnel.example:443", 11),
        ("0123.abcd1234.tunnel.example", nil),
        // Addresses.
        ("10.0.0.1", 6), ("10.0.0.1:8080", 6), ("[fd00::1]", 7), ("[FD00:0:0::1]:443", 7), ("[fd00::2]", 8),
        ("[fd00::3]", nil), ("fd00::1", nil), ("10.0.0.1.abcd1234.tunnel.example", 6),
        // No host.
        ("", nil), (".", nil), (":80", nil), ("echo:x", nil), ("echo/", nil), ("unknown.example", nil), ("echo\0", nil),
        (String(repeating: "a", count: 256), nil), (String(repeating: "x.", count: 200) + domain, nil),
    ]
    @Test(arguments: vectors) func finds(_ row: (host: String, route: Int?)) throws {
        let table = try Self.table()
        #expect(table.lookup(row.host) == row.route)
        let fromBytes = table.lookup(Array(row.host.utf8).span)
        #expect(fromBytes == row.route)
    }

    @Test(arguments: [nil, ""]) func withoutDomainOnlyWholeNames(_ domain: String?) throws {
        let table = try Self.table(domain)
        #expect(table.lookup("echo.abcd1234.tunnel.example") == nil)
        #expect(table.lookup("echo") == 0 && table.lookup("wins.abcd1234.tunnel.example") == 4)
    }

    @Test(arguments: ["abcd1234.tunnel.example.", "ABCD1234.tunnel.example"]) func domainIsNormalised(_ domain: String)
        throws
    {
        #expect(try Self.table(domain).lookup("echo.abcd1234.tunnel.example") == 0)
    }

    @Test func emptyTableFindsNothing() throws {
        let table = try RouteTable(routes: [], tunnelDomain: Self.domain)
        #expect(table.count == 0)
        #expect(table.lookup("echo.abcd1234.tunnel.example") == nil && table.lookup("") == nil)
    }

    static let bad: [(String, RouteError.Code)] = [
        ("", .badHost), (".", .badHost), ("echo:8080", .badHost), ("http://echo", .badHost), ("echo/mcp", .badHost),
        ("*.example", .badHost), ("*", .badHost), ("a b", .badHost), ("ünï.example", .badHost), ("a..b", .badHost),
        (".a", .badHost), ("a..", .badHost), ("[::1", .badHost), ("[::1]:80", .badHost), ("[10.0.0.1]", .badHost),
        ("[fe80::1%eth0]", .badHost), (String(repeating: "a", count: 256), .badHost), ("a\0", .badHost),
        ("a\nb", .badHost),
        ("echo", .duplicate), ("ECHO.", .duplicate), ("[FD00:0::1]", .duplicate), ("fd00::1", .duplicate),
    ]
    @Test(arguments: bad) func refusesKeys(_ row: (host: String, code: RouteError.Code)) throws {
        let error = try #require(throws: RouteError.self) {
            try RouteTable(routes: [("echo", 0), ("[fd00::1]", 1), (row.host, 2)], tunnelDomain: nil)
        }
        #expect(error.code == row.code && error.host == row.host)
        #expect(!error.reason.isEmpty && !error.remedy.isEmpty)
    }

    @Test(arguments: ["a..b", "tunnel:80", "*.x", "."]) func refusesDomains(_ domain: String) {
        #expect(throws: RouteError.self) { try RouteTable(routes: [], tunnelDomain: domain) }
    }

    @Test func longestHostIsFound() throws {
        let longest = String(repeating: "a", count: 255)
        let table = try RouteTable(routes: [(longest, 1)], tunnelDomain: nil)
        #expect(table.lookup(longest + ".:443") == 1 && table.lookup(longest + "a") == nil)
    }

    /// Every name is found among ten thousand, as itself and below the domain, and no other is.
    @Test func findsEachOfMany() throws {
        let names = (0..<10_000).map { "route-\($0)" }
        let table = try RouteTable(routes: names.enumerated().map { ($1, $0) }, tunnelDomain: "t.example")
        #expect(table.count == 10_000)
        #expect(names.indices.allSatisfy { table.lookup(names[$0]) == $0 })
        #expect(names.indices.allSatisfy { table.lookup("Route-\($0).T.example:443") == $0 })
        #expect((10_000..<20_000).allSatisfy { table.lookup("route-\($0).t.example") == nil })
    }
}
