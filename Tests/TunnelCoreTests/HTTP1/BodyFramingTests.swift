import Testing
import TunnelCore

/// The ways to smuggle a request past a proxy, by the field lines they use (RFC 9112 §11.2).
@Suite struct BodyFramingTests {
    static let accepted: [(lines: String, framing: BodyFraming)] = [
        ("", .none), ("Content-Length: 0\r\n", .length(0)), ("Content-Length: 5\r\n", .length(5)),
        ("content-length:5\r\n", .length(5)), ("Content-Length: \t 5 \t\r\n", .length(5)),
        ("Content-Length: 007\r\n", .length(7)),
        ("Content-Length: 9223372036854775807\r\n", .length(UInt64(Int64.max))),
        ("Transfer-Encoding: chunked\r\n", .chunked), ("TRANSFER-ENCODING:\tChUnKeD \r\n", .chunked),
        ("X-Content-Length: 5\r\nTransfer-Encodings: x\r\n", .none),
    ]

    static let refused: [(lines: String, rule: String)] = [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "both"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "both"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "both"),
        ("Content-Length: 5\r\ncontent-length: 6\r\n", "several Content-Length"),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "several Content-Length"),
        ("Content-Length: +5\r\n", "not a number"), ("Content-Length: -5\r\n", "not a number"),
        ("Content-Length: 5, 5\r\n", "not a number"), ("Content-Length: 5,6\r\n", "not a number"),
        ("Content-Length: 0x5\r\n", "not a number"), ("Content-Length:  5 5\r\n", "not a number"),
        ("Content-Length: 5;\r\n", "not a number"), ("Content-Length: 5.0\r\n", "not a number"),
        ("Content-Length: 1e1\r\n", "not a number"), ("Content-Length: five\r\n", "not a number"),
        ("Content-Length: \"5\"\r\n", "not a number"), ("Content-Length: 5_0\r\n", "not a number"),
        ("Content-Length: \u{B2}\r\n", "not a number"), ("Content-Length:\r\n", "empty Content-Length"),
        ("Content-Length: \t\r\n", "empty Content-Length"),
        ("Content-Length: 9223372036854775808\r\n", "too large"),
        ("Content-Length: 18446744073709551616\r\n", "too large"),
        ("Content-Length: 18446744073709551621\r\n", "too large"),
        ("Content-Length: 99999999999999999999999999\r\n", "too large"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "several Transfer-Encoding"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "several Transfer-Encoding"),
        ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "other than chunked"),
        ("Transfer-Encoding: identity\r\n", "other than chunked"), ("Transfer-Encoding:\r\n", "other than chunked"),
        ("Transfer-Encoding: chunked, identity\r\n", "other than chunked"),
        ("Transfer-Encoding: identity, chunked\r\n", "other than chunked"),
        ("Transfer-Encoding: gzip, chunked\r\n", "other than chunked"),
        ("Transfer-Encoding: chunked, chunked\r\n", "other than chunked"),
        ("Transfer-Encoding: xchunked\r\n", "other than chunked"),
        ("Transfer-Encoding: chunkedx\r\n", "other than chunked"),
        ("Transfer-Encoding: chunked;q=1\r\n", "other than chunked"),
        ("Transfer-Encoding: chunked,\r\n", "other than chunked"),
        ("Transfer-Encoding: ,chunked\r\n", "other than chunked"),
        ("Transfer-Encoding: \"chunked\"\r\n", "other than chunked"),
        ("Transfer-Encoding: chun ked\r\n", "other than chunked"),
        ("Transfer-Encoding: \u{A0}chunked\r\n", "other than chunked"),
        ("Transfer-Encoding : chunked\r\n", "space in or after"),
        ("Transfer-Encoding\t: chunked\r\n", "space in or after"),
        ("Content-Length : 5\r\n", "space in or after"),
        (" Transfer-Encoding: chunked\r\n", "folded"), ("\tContent-Length: 5\r\n", "folded"),
        ("X: y\r\n Transfer-Encoding: chunked\r\n", "folded"),
        ("Transfer-Encoding:\r\n chunked\r\n", "folded"),
        ("X: y\nTransfer-Encoding: chunked\r\n", "bare LF"), ("X: y\rTransfer-Encoding: chunked\r\n", "bare CR"),
        ("Transfer-Encoding: chunked\n\r\n", "bare LF"), ("Transfer-Encoding: \u{B}chunked\r\n", "control byte"),
        ("Transfer-Encoding: chunked\u{0}\r\n", "control byte"),
        ("Transfer\u{0}-Encoding: chunked\r\n", "control byte"),
        ("Transfer-Encoding\u{0B}: chunked\r\n", "control byte"),
        ("\u{A0}Transfer-Encoding: chunked\r\n", "invalid byte in a field name"),
        ("Content-Length\u{85}: 5\r\n", "invalid byte in a field name"), ("Content-Length\r\n", "without a colon"),
        (": chunked\r\n", "empty field name"), ("Foo bar: chunked\r\n", "space in or after"),
        ("\"Content-Length\": 5\r\n", "invalid byte in a field name"),
        ("Content-Length; 5\r\n", "invalid byte in a field name"),
    ]

    @Test(arguments: accepted) func requests(_ row: (lines: String, framing: BodyFraming)) throws {
        let head = try HTTPSamples.request("POST / HTTP/1.1\r\nHost: h\r\n\(row.lines)\r\n")
        #expect(head.framing == row.framing)
    }

    @Test(arguments: accepted) func responses(_ row: (lines: String, framing: BodyFraming)) throws {
        let head = try HTTPSamples.response("HTTP/1.1 200 OK\r\n\(row.lines)\r\n")
        #expect(head.framing == (row.framing == .none ? .untilClose : row.framing))
    }

    @Test(arguments: refused) func refusedRequests(_ row: (lines: String, rule: String)) throws {
        for piece in [nil, 1, 7] {
            let source = "POST / HTTP/1.1\r\nHost: h\r\n\(row.lines)\r\n"
            let error = try #require(HTTPSamples.requestError(source, piece: piece))
            #expect(error.status == 400)
            #expect(error.reason.contains(row.rule), "\(error)")
        }
    }

    @Test(arguments: refused) func refusedResponses(_ row: (lines: String, rule: String)) throws {
        for method in [Method.get, .head] {
            let source = "HTTP/1.1 200 OK\r\nServer: s\r\n\(row.lines)\r\n"
            let error = try #require(HTTPSamples.responseError(source, to: method))
            #expect(error.status == 400)
            #expect(error.reason.contains(row.rule), "\(error)")
        }
    }

    @Test func chunkedNeedsVersionOne() throws {
        let lines = "Transfer-Encoding: chunked\r\n\r\n"
        let request = try #require(HTTPSamples.requestError("POST / HTTP/1.0\r\nHost: h\r\n\(lines)"))
        let response = try #require(HTTPSamples.responseError("HTTP/1.0 200 OK\r\n\(lines)"))
        #expect(request.reason.contains("HTTP/1.0") && response.reason.contains("HTTP/1.0"))
    }

    @Test func emptiness() {
        #expect(BodyFraming.none.isEmpty && BodyFraming.length(0).isEmpty)
        #expect(!BodyFraming.length(1).isEmpty && !BodyFraming.chunked.isEmpty && !BodyFraming.untilClose.isEmpty)
    }
}
