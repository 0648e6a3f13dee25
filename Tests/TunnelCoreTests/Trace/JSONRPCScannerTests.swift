import Testing
import TunnelCore

@Suite struct JSONRPCScannerTests {
    private func texts(_ scanner: borrowing JSONRPCScanner) -> [String?] {
        var (method, name): (String?, String?)
        scanner.withMethod { span in method = span.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
        scanner.withName { span in name = span.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
        return [method, name]
    }

    /// What is found when the body comes in pieces of `size`.
    private func scan(_ body: [UInt8], pieces size: Int) -> [String?] {
        var scanner = JSONRPCScanner()
        scanner.begin()
        var start = 0
        while start < body.count {
            let end = min(body.count, start + size)
            scanner.look(at: body.span.extracting(start..<end))
            start = end
        }
        return texts(scanner)
    }

    static let vectors: [(body: String, method: String?, name: String?)] = [
        (
            #"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add","arguments":{"a":19}}}"#,
            "tools/call", "add"
        ),
        (#"{"params":{"arguments":{"name":"inner"},"name":"outer"},"method":"tools/call"}"#, "tools/call", "outer"),
        (#"{"method":"prompts/get","params":{"uri":"x://y","name":"p"}}"#, "prompts/get", "p"),
        (#"{"method":"resources/read","params":{"name":"n","uri":"file:///a"}}"#, "resources/read", "file:///a"),
        (#"{"method":"tools/list","params":{"name":"n"}}"#, "tools/list", nil),
        (#"{"method":"initialize"}"#, "initialize", nil), (#"{"method":"ping","id":1}"#, "ping", nil),
        ("\r\n\t {\r\n \"id\" : 1 ,\"method\" : \"ping\" \n}", "ping", nil),
        // Only the request's own members count.
        (
            #"{"id":{"method":"a"},"x":[{"method":"b"}],"params":{"method":"c","x":{"name":"d"}},"method":"tools/call"}"#,
            "tools/call", nil
        ),
        (#"{"a":"\"method\":\"x\"","b":"{","c":"]","method":"ping"}"#, "ping", nil),
        (#"{"params":[{"name":"a"}],"method":"tools/call"}"#, "tools/call", nil),
        (#"{"params":null,"method":"tools/call"}"#, "tools/call", nil),
        (#"{"method":"tools/call","params":{}}"#, "tools/call", nil),
        // Of two the first.
        (#"{"method":"ping","method":"tools/call"}"#, "ping", nil),
        (#"{"params":{"name":"a","name":"b"},"method":"tools/call"}"#, "tools/call", "a"),
        // Numbers, words, escapes.
        (#"{"n":-1.5e+7,"t":true,"f":false,"z":null,"method":"ping"}"#, "ping", nil),
        (
            #"{"\u006dethod":"\u0074ools\/call","params":{"name":"\"\\\b\f\n\r\t\u00e9\u20AC\ud83d\ude00"}}"#,
            "tools/call",
            "\"\\\u{8}\u{C}\n\r\t\u{E9}\u{20AC}\u{1F600}"
        ),
        (
            #"{"method":"tools/call","params":{"name":"\ud83dx\ude00\ud83d"}}"#, "tools/call",
            "\u{FFFD}x\u{FFFD}\u{FFFD}"
        ),
        (#"{"method":"tools/call","params":{"name":"é€😀"}}"#, "tools/call", "é€😀"),
        (#"{"method":"","params":{"name":"x"}}"#, "", nil),
        (#"{"method":"tools/call","params":{"name":""}}"#, "tools/call", ""),
        // No such request, or none at all.
        (#"{"method":7}"#, nil, nil), (#"{"method":null,"params":{"name":"a"}}"#, nil, nil), ("{}", nil, nil),
        ("", nil, nil),
        (#"["method":"ping"}"#, nil, nil), (#"x"method":"ping"}"#, nil, nil),
        (#"[{"method":"ping"}]"#, nil, nil), ("\"method\"", nil, nil), ("method=ping", nil, nil),
        ("\u{1F}\u{8B}", nil, nil),
        // What was whole before the fault counts.
        (#"{"params":{"name":"x"},"method":"tools/call",,"#, "tools/call", "x"),
        (#"{"method":"tools/call","params":{"name":"x"#, "tools/call", nil),
        (#"{"method":"pi"#, nil, nil), (#"{"method":"a\x","#, nil, nil), (#"{"method":"a\u00g0"}"#, nil, nil),
        ("{\"method\":\"a\u{1}b\"}", nil, nil), (#"{"x" "y","method":"ping"}"#, nil, nil), (#"{"x":}"#, nil, nil),
        (#"{"x":1 2,"method":"ping"}"#, nil, nil), (#"{,"method":"ping"}"#, nil, nil), (#"{"x":1,}"#, nil, nil),
    ]

    @Test(arguments: vectors) func finds(_ vector: (body: String, method: String?, name: String?)) {
        let body = Array(vector.body.utf8)
        for size in 1...max(1, body.count) {
            #expect(scan(body, pieces: size) == [vector.method, vector.name], "in pieces of \(size)")
        }
    }

    /// The last byte of the text that names the method is the last one that is looked at, or the first that is not.
    @Test func looksAtTheFirstBytesOnly() {
        for (surplus, found) in [(0, "ping"), (1, nil)] as [(Int, String?)] {
            let end = #"","method":"ping""#, start = #"{"x":""#
            let fill = JSONRPCScanner.limit + surplus - start.utf8.count - end.utf8.count
            let body = Array((start + String(repeating: "a", count: fill) + end + "}").utf8)
            for size in [1, 100, 4_096, body.count] { #expect(scan(body, pieces: size)[0] == found) }
        }
    }

    @Test func keepsNoMoreOfATextThanIsShown() {
        let long = String(repeating: "n", count: 4_000)
        let body = Array(#"{"method":"tools/call","params":{"name":"\#(long)"}}"#.utf8)
        #expect(scan(body, pieces: 7)[1]?.utf8.count == JSONRPCScanner.maxText)
    }

    @Test func stopsWhenAllIsFoundAndBeginsAnew() {
        var scanner = JSONRPCScanner()
        expect(scanner, isActive: false, hasMethod: false)
        scanner.begin()
        let first = Array(#"{"method":"ping""#.utf8), second = Array(#"{"method":"tools/list"}"#.utf8)
        scanner.look(at: first.span)
        expect(scanner, isActive: false, hasMethod: true)
        scanner.begin()
        expect(scanner, isActive: true, hasMethod: false)
        scanner.look(at: second.span)
        #expect(texts(scanner) == ["tools/list", nil])
        scanner.stop()
        #expect(texts(scanner) == [nil, nil])
    }

    private func expect(_ scanner: borrowing JSONRPCScanner, isActive: Bool, hasMethod: Bool) {
        let state = [scanner.isActive, scanner.hasMethod]
        #expect(state == [isActive, hasMethod])
    }
}
