import Testing

@testable import tunnel_bench

struct EventScanTests {
    private static let stream = Array(
        "67\r\ndata: 00000000000000000042 {\"d\":\"da\"}\n\n\r\n67\r\ndata: 00000000000000001234 {}\n\n\r\n".utf8)

    /// However the stream is cut, both time stamps are found, once and in order.
    @Test(arguments: 0...stream.count)
    func everySplit(_ split: Int) {
        var found: [UInt64] = []
        var rest: [UInt8] = []
        for part in [EventScanTests.stream[..<split], EventScanTests.stream[split...]] {
            rest += part
            let consumed = rest.withUnsafeBytes { EventScan.scan($0) { found.append($0) } }
            rest.removeFirst(consumed)
        }
        #expect(found == [42, 1234])
    }
}
