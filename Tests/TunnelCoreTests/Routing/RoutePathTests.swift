import Testing
import TunnelCore

@Suite struct RoutePathTests {
    private func matches(_ entry: String, _ path: String) throws -> Bool {
        let entry = try #require(RoutePath(entry))
        var path = path
        return path.withUTF8 { entry.matches($0.span) }
    }

    @Test func aWholePathIsComparedByteForByte() throws {
        #expect(try matches("/mcp", "/mcp"))
        for other in ["/mcp/", "/MCP", "/mcp2", "/mc", "/", "", "/%6dcp", "/mcp?x"] {
            #expect(try !matches("/mcp", other), "\(other)")
        }
        #expect(try matches("/", "/"))
    }

    @Test func theLongestHas1024Bytes() {
        let longest = "/" + String(repeating: "a", count: 1_023)
        #expect(RoutePath(longest) != nil && RoutePath(longest + "a") == nil)
    }

    @Test func aBeginningHoldsWhatIsBelowIt() throws {
        for path in [
            "/f/", "/f/a", "/f/a/b.c", "/f/a...b", "/f/.hidden", "/f/...", "/f/%41", "/f/%C3%A9", "/f/a:b,c=d",
        ] {
            #expect(try matches("/f/*", path), "\(path)")
        }
        for path in ["/f", "/g/", "/fx/", "/", ""] { #expect(try !matches("/f/*", path), "\(path)") }
        #expect(try matches("/*", "/anything/below"))
    }

    /// What an upstream could take for another place than it seems to be.
    @Test(arguments: [
        "..", ".", "../a", "./a", "a/..", "a/../../b", "a/.", "a//b", "/a", "..;/a", "a;b", "a\\..\\b", "%2e%2e/a",
        "%2E/a",
        ".%2e/a", "a%2fb", "a%2Fb", "a%5cb", "%252e", "a%3bb", "a%00", "a%0d", "a%20b", "a%7f", "%", "%2", "%zz", "a%",
    ])
    func whatIsAmbiguousIsNotBelow(_ rest: String) throws {
        #expect(try !matches("/f/*", "/f/\(rest)"))
        #expect(try !matches("/*", "/f/\(rest)"))
    }

    @Test(arguments: ["", "mcp", "*", "/a b", "/a?b", "/a#b", "/a/../b", "/a//b", "/a*", "/a/%2e", "/\u{e9}", "/a/;b"])
    func isNoPath(_ text: String) { #expect(RoutePath(text) == nil) }
}
