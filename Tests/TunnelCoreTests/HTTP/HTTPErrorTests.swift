import Testing
import TunnelCore

@Suite struct HTTPErrorTests {
    @Test func equalByStatus() {
        #expect(HTTPError(status: 400, reason: "a") == HTTPError(status: 400, reason: "b"))
        #expect(HTTPError(status: 400, reason: "a") != HTTPError(status: 431, reason: "a"))
        #expect(HTTPError(status: 431, reason: "too big").description == "http 431: too big")
    }

    @Test func defaultLimits() {
        #expect(HeadLimits().maxBytes == 65_536 && HeadLimits().maxFields == 200)
    }
}
