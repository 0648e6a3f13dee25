import Testing
import TunnelCore

@testable import TunnelProxy

@Suite struct AdminRequestTests {
    static func request(_ target: String, _ fields: String...) throws -> AdminRequest {
        let bytes = Array("GET \(target) HTTP/1.1\r\nHost: a\r\n\(fields.map { "\($0)\r\n" }.joined())\r\n".utf8)
        var head = RequestHead()
        try #require(try head.parse(bytes.span) != nil)
        return AdminRequest(head, bytes.span)
    }

    @Test(arguments: [
        ("/a?x=1&y=2", "/a", ["x=1", "y=2"]), ("/a", "/a", []), ("/a?", "/a", []), ("/a?x", "/a", ["x="]),
        ("/a?x=1=2", "/a", ["x=1=2"]), ("/a?x=a+b%20c", "/a", ["x=a b c"]), ("/a?%78=%C3%A9", "/a", ["x=é"]),
        ("/a?x=%", "/a", ["x=%"]), ("/a?x=%4", "/a", ["x=%4"]), ("/a?x=%+1%g0", "/a", ["x=% 1%g0"]),
        ("/a?x=%FF", "/a", ["x=\u{FFFD}"]), ("/a?&&x=1&", "/a", ["x=1"]),
    ])
    func readsTheQuery(_ target: String, _ path: String, _ query: [String]) throws {
        let request = try Self.request(target)
        #expect(request.path == path)
        #expect(request.query.map { "\($0.name)=\($0.value)" } == query)
    }

    @Test func joinsFieldsThatComeTwice() throws {
        let request = try Self.request("/", "Accept: a", "ACCEPT: b", "X: c")
        #expect(request.fields == ["host": "a", "accept": "a, b", "x": "c"])
    }
}
