import Testing

@testable import TunnelCore

/// One request after another, against a server that writes its frames by hand.
@Suite struct HTTP2RequesterTests {
    /// What the requester said of these bytes, fed `step` at a time, to the end of the response or of the bytes.
    private static func story(_ requester: inout HTTP2Requester, _ bytes: [UInt8], step: Int = .max) -> [String] {
        var (words, rest, fed) = ([String](), [UInt8](), 0)
        while fed < bytes.count {
            let count = min(step, bytes.count - fed)
            rest += bytes[fed..<fed + count]
            fed += count
            var position = 0
            events: while true {
                let event: HTTP2Requester.Event
                do throws(HTTP2Error) { event = try requester.next(in: rest.span, at: &position, now: 1) } catch {
                    return words + ["\(error.code)"]
                }
                switch event {
                case .needMore: break events
                case .head(let status, let fields, let isEventStream):
                    words.append("\(status) \(fields.map { "\($0.name)=\($0.value)" }) \(isEventStream)")
                case .body(let range): words.append("\(range.count)")
                case .end: return words + ["end"]
                case .reset(let code, let isByPeer): return words + ["reset \(code) \(isByPeer)"]
                case .goAway(let code): return words + ["goaway \(code)"]
                }
            }
            rest.removeFirst(position)
        }
        return words
    }

    private static func request(_ method: String, body: Int = 0) -> [UInt8] {
        let length = body > 0 ? "Content-Length: \(body)\r\n" : ""
        return Array("\(method) /x HTTP/1.1\r\nHost: h\r\n\(length)\r\n".utf8) + [UInt8](repeating: 7, count: body)
    }

    /// How many bytes of the body can be sent now.
    private static func sendable(_ requester: inout HTTP2Requester) -> Int {
        var out = ByteBuffer()
        requester.gather(into: &out, now: 1)
        return out.array.count { $0 == 7 }
    }

    private static func response(_ stream: UInt32, _ lines: [String], end: Bool = false) -> [UInt8] {
        HTTP2Harness.headers(stream, lines, end: end)
    }

    @Test(arguments: [1, 7, .max]) func interimHeadsArePassedOver(_ step: Int) throws {
        var requester = HTTP2Requester(now: 0)
        try requester.begin(Self.request("GET"), isSecure: true, now: 0)
        let bytes =
            HTTP2Harness.settings() + Self.response(1, [":status: 103", "link: x"])
            + Self.response(1, [":status: 200", "content-type: text/event-stream"]) + HTTP2Harness.data(1, 3)
            + HTTP2Harness.data(1, 2, end: true)
        let words = Self.story(&requester, bytes, step: step)
        #expect(words.first == #"200 ["content-type=text/event-stream"] true"#)
        #expect(words.last == "end")
        #expect(words.dropFirst().compactMap { Int($0) }.reduce(0, +) == 5)
    }

    /// A second one on the same connection, a head that ends the stream, and trailers.
    @Test func oneFollowsAnother() throws {
        var requester = HTTP2Requester(now: 0)
        let answers = [
            HTTP2Harness.settings() + Self.response(1, [":status: 204"], end: true),
            Self.response(3, [":status: 200"]) + HTTP2Harness.data(3, 4) + Self.response(3, ["x-sum: 1"], end: true),
            // The HEAD of a long body.
            Self.response(5, [":status: 200", "content-length: 9"], end: true),
        ]
        let wanted = [
            ["204 [] false", "end"], ["200 [] false", "4", "end"], [#"200 ["content-length=9"] false"#, "end"],
        ]
        for (number, method) in ["GET", "POST", "HEAD"].enumerated() {
            try requester.begin(Self.request(method), isSecure: false, now: 0)
            #expect(Self.story(&requester, answers[number]) == wanted[number])
        }
    }

    /// To the window, and one byte more when it opens by one.
    @Test func aBodyWaitsForItsWindow() throws {
        var requester = HTTP2Requester(now: 0)
        try requester.begin(Self.request("POST", body: 65_537), isSecure: true, now: 0)
        #expect(Self.sendable(&requester) == 65_535)
        #expect(Self.story(&requester, HTTP2Harness.settings() + HTTP2Harness.windowUpdate(0, 2)) == [])
        #expect(Self.sendable(&requester) == 0)
        #expect(Self.story(&requester, HTTP2Harness.windowUpdate(1, 1)) == [])
        #expect(Self.sendable(&requester) == 1)
        // The settings raise it too (§6.9.2).
        #expect(Self.story(&requester, HTTP2Harness.settings((.initialWindowSize, 65_537))) == [])
        #expect(Self.sendable(&requester) == 1)
    }

    @Test func whatDoesNotComeIsTold() throws {
        let early = HTTP2Harness.settings()
        let goAway = HTTP2FrameTests.frame(.goAway, [], 0, [0, 0, 0, 0, 0, 0, 0, 0])
        for (bytes, words) in [
            (HTTP2Harness.reset(1), ["reset CANCEL true"]),
            (
                Self.response(1, [":status: 200"]) + HTTP2Harness.data(1, 2) + HTTP2Harness.reset(1),
                ["200 [] false", "2", "reset CANCEL true"]
            ),
            (Self.response(1, ["x: y"]), ["reset PROTOCOL_ERROR false"]),
            (goAway, ["goaway NO_ERROR"]), (HTTP2Harness.data(9, 1), ["PROTOCOL_ERROR"]),
        ] {
            var requester = HTTP2Requester(now: 0)
            try requester.begin(Self.request("GET"), isSecure: true, now: 0)
            #expect(Self.story(&requester, early + bytes) == words)
        }
    }

    @Test func whatIsNoRequestIsRefused() throws {
        var requester = HTTP2Requester(now: 0)
        for text in ["GET /\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n"] {
            #expect(throws: HTTPError.self) { try requester.begin(Array(text.utf8), isSecure: true, now: 0) }
        }
    }

    /// A server that takes one at a time, and then none.
    @Test func noRequestBeyondWhatIsTaken() throws {
        var requester = HTTP2Requester(now: 0)
        try requester.begin(Self.request("GET"), isSecure: true, now: 0)
        let last = HTTP2FrameTests.frame(.goAway, [], 0, [0, 0, 0, 1, 0, 0, 0, 0])
        let bytes = HTTP2Harness.settings() + last + Self.response(1, [":status: 200"], end: true)
        #expect(Self.story(&requester, bytes) == ["200 [] false", "end"])
        #expect(throws: HTTPError(status: 503, reason: "no further request is taken")) {
            try requester.begin(Self.request("GET"), isSecure: true, now: 0)
        }
    }
}
