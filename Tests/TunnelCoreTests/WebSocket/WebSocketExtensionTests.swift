import Testing
import TunnelCore

@Suite struct WebSocketExtensionTests {
    static let lists: [(values: [String], parsed: [String])] = [
        ([], []),
        (["permessage-deflate"], ["permessage-deflate"]),
        (["foo, bar; baz=2"], ["foo", "bar; baz=2"]),
        (["foo", "bar; baz=2"], ["foo", "bar; baz=2"]),
        (["a ;b = c\t; d ,, e"], ["a; b=c; d", "e"]),
        (["Permessage-Deflate; Server_Max_Window_Bits=\"1\\0\""], ["permessage-deflate; server_max_window_bits=10"]),
        ([",a,"], ["a"]),
        (["a;b=C"], ["a; b=C"]),
    ]
    @Test(arguments: lists) func parses(_ row: (values: [String], parsed: [String])) throws {
        let parsed = try WebSocketExtension.parse(row.values)
        #expect(parsed.map(\.description) == row.parsed)
        // What was written back parses to the same.
        #expect(try WebSocketExtension.parse(parsed.map(\.description)) == parsed)
    }

    @Test(arguments: [
        "", " ", ",", ";", "a;", "a b", "a;b=", "a;=c", "a=b", "a;b=\"", "a;b=\"\"", "a;b=\"c", "a;b=\"c d\"",
        "a;b=\"c\"d", "a;b=\"\\", "a\u{0}", "é", "a;b=c=d", "a, b c", "a;b==", "\"a\"", "a;\"b\"",
    ])
    func refuses(_ value: String) {
        #expect(throws: WebSocketError(code: .protocolError, reason: "")) { _ = try WebSocketExtension.parse([value]) }
    }

    @Test func limitsAllowNAndRefuseOneMore() throws {
        func refuses(_ values: [String]) -> Bool { (try? WebSocketExtension.parse(values)) == nil }
        let many = Array(repeating: "a", count: WebSocketExtension.maxExtensions)
        #expect(!refuses(many) && !refuses([many.joined(separator: ",")]))
        #expect(refuses(many + ["a"]) && refuses([(many + ["a"]).joined(separator: ",")]))
        let parameters = "a" + String(repeating: ";b", count: WebSocketExtension.maxParameters)
        #expect(!refuses([parameters]) && refuses([parameters + ";b"]))
        let long = String(repeating: "x", count: WebSocketExtension.maxListBytes)
        #expect(!refuses([long]) && refuses([long, "x"]))
    }
}
