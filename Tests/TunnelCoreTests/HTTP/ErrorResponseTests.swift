import Testing
import TunnelCore

@Suite struct ErrorResponseTests {
    private func answer(
        _ status: UInt16, _ body: String, _ extra: [(name: String, value: String)] = [], close: Bool,
        isHead: Bool = false
    ) -> String {
        var out = ByteBuffer()
        ErrorResponse.append(
            status: status, body: body, extra: extra, connectionClose: close, isHead: isHead, into: &out)
        return HTTPSamples.text(out.array)
    }

    @Test func writesOneLine() {
        #expect(
            answer(502, "No route configured for host", close: false) == """
                HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 29\r\n\r\n\
                No route configured for host\n
                """)
    }

    @Test func closesAndAddsFields() {
        let result = answer(503, "x", [("Retry-After", "1")], close: true)
        #expect(result.hasSuffix("Content-Length: 2\r\nRetry-After: 1\r\nConnection: close\r\n\r\nx\n"))
    }

    @Test func headHasNoBody() {
        #expect(answer(400, "abc", close: false, isHead: true).hasSuffix("Content-Length: 4\r\n\r\n"))
    }

    @Test func namesUpgradeInConnection() {
        let extra = [(name: "Upgrade", value: "websocket")]
        #expect(
            answer(426, "x", extra, close: true).contains("\r\nUpgrade: websocket\r\nConnection: close, upgrade\r\n"))
        #expect(answer(426, "x", extra, close: false).contains("\r\nConnection: upgrade\r\n"))
    }

    /// Our own parser reads every status back, with the length of the body.
    @Test(
        arguments: [400, 401, 403, 404, 405, 408, 413, 417, 418, 421, 426, 429, 431, 500, 501, 502, 503, 504, 505]
            as [UInt16]
    )
    func parses(_ status: UInt16) throws {
        let text = answer(status, "reason", close: true)
        let bytes = HTTPSamples.bytes(text)
        var head = ResponseHead()
        let size = try #require(try head.parse(bytes.span, requestMethod: .get))
        #expect(head.status == status && head.framing == .length(7) && bytes.count == size + 7 && !head.isPersistent)
        #expect(head.reason.isEmpty == (status == 418))
    }
}
