import Testing
import TunnelTLS

@Suite struct TLSAlertTests {
    /// The words operators look for, and some from each RFC.
    static let names: [(UInt8, String)] = [
        (0, "close notify"), (10, "unexpected message"), (40, "handshake failure"), (42, "bad certificate"),
        (45, "certificate expired"), (48, "unknown certificate authority"), (50, "decode error"),
        (70, "protocol version"), (120, "no application protocol"), (255, "alert 255"),
    ]
    @Test(arguments: names) func hasTheName(_ row: (value: UInt8, name: String)) {
        #expect(TLSAlert(value: row.value, isFromPeer: true).name == row.name)
    }

    @Test func everyValueHasItsOwnName() {
        let names = Set((UInt8.min...UInt8.max).map { TLSAlert(value: $0, isFromPeer: false).name })
        #expect(names.count == 256)
    }
}
