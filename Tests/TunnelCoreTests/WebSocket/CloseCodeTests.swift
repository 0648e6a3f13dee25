import Testing
import TunnelCore

@Suite struct CloseCodeTests {
    /// The edges of each range of RFC 6455 §7.4.
    @Test(arguments: [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 3999, 4000, 4999] as [UInt16])
    func mayTravel(_ code: UInt16) { #expect(CloseCode(rawValue: code).isValidOnTheWire) }

    @Test(arguments: [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535] as [UInt16])
    func mayNotTravel(_ code: UInt16) { #expect(!CloseCode(rawValue: code).isValidOnTheWire) }

    @Test func errorsCompareByCode() {
        let error = WebSocketError(code: .protocolError, reason: "a")
        #expect(error == WebSocketError(code: .protocolError, reason: "b"))
        #expect(error != WebSocketError(code: .normal, reason: "a") && error.description == "websocket 1002: a")
    }
}
