import Testing
import TunnelCore

@testable import TunnelProxy

/// What one route lets through, without a connection: methods to the byte, paths as `RoutePath` reads them, its burst.
@Suite struct RouteRulesTests {
    private func rules(_ change: (inout RouteOptions) -> Void) throws -> RouteRules {
        var options = RouteOptions()
        change(&options)
        return try #require(RouteRules(options, lines: [], RouteLimiters(), queueTimeout: 0))
    }

    private func refusal(_ rules: RouteRules, _ method: String, _ path: String = "/") throws -> RouteRules.Refusal? {
        var head = RequestHead()
        let bytes = Array("\(method) \(path) HTTP/1.1\r\nHost: h\r\n\r\n".utf8)
        #expect(try head.parse(bytes.span) == bytes.count)
        return rules.refusal(head, bytes.span)
    }

    @Test func nothingIsAskedWhereNothingIsSet() {
        #expect(RouteRules(RouteOptions(), lines: [], RouteLimiters(), queueTimeout: 0) == nil)
    }

    @Test(arguments: [
        ("GET", true), ("POST", true), ("get", false), ("PO", false), ("POS", false), ("POSTX", false),
        ("GETPOST", false),
        ("DELETE", false),
    ]) func methodsAreComparedByteForByte(_ method: String, _ isAllowed: Bool) throws {
        let rules = try rules { $0.methods = ["GET", "POST"] }
        #expect(try (refusal(rules, method) == nil) == isAllowed)
        if !isAllowed { #expect(try refusal(rules, method) == .method) }
    }

    @Test(arguments: [
        ("/mcp", true), ("/mcp?a=b", true), ("/f/a", true), ("/mcp/", false), ("/g", false), ("/f/../mcp", false),
    ])
    func pathsAreThoseOfTheList(_ path: String, _ isAllowed: Bool) throws {
        let rules = try rules { $0.paths = ["/mcp", "/f/*"] }
        #expect(try refusal(rules, "GET", path) == (isAllowed ? nil : .path))
    }

    /// Both are asked, the method first.
    @Test func aPathIsNoWayAroundTheMethods() throws {
        let rules = try rules { ($0.methods, $0.paths) = (["POST"], ["/mcp"]) }
        #expect(try refusal(rules, "POST", "/mcp") == nil && refusal(rules, "POST", "/x") == .path)
        #expect(try refusal(rules, "GET", "/mcp") == .method && refusal(rules, "GET", "/x") == .method)
    }

    /// So many at once as `burst` says; without it as many as come in a second, and one at least.
    @Test(arguments: [(2.0, 5, 5), (3.0, 0, 3), (0.5, 0, 1), (2.5, 0, 3), (1.0, 1, 1)])
    func aBurstIsAsLongAsConfigured(_ rate: Double, _ burst: Int, _ expected: Int) throws {
        let limit = try #require(RateLimit(rate, burst: burst, TokenBucket()))
        let now: UInt64 = 1 << 40
        for _ in 0..<expected { #expect(limit.take(now: now) == nil) }
        #expect(limit.take(now: now) == UInt64(1_000_000_000 / rate))
    }
}
