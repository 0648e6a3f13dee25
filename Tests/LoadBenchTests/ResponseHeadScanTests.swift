import Testing

@testable import tunnel_bench

struct ResponseHeadScanTests {
    private static let head = "HTTP/1.1 206 Partial\r\nDate: x\r\nCONTENT-length:  17\r\nServer: y\r\n\r\n"

    @Test func readsStatusAndLength() throws {
        let scan = try #require(Array((Self.head + "body").utf8).withUnsafeBytes { ResponseHeadScan.scan($0) })
        #expect(scan.status == 206)
        #expect(scan.contentLength == 17)
        #expect(scan.size == Self.head.utf8.count)
    }

    @Test(arguments: 0..<head.utf8.count)
    func waitsForWholeHead(_ count: Int) {
        #expect(Array(Self.head.utf8.prefix(count)).withUnsafeBytes { ResponseHeadScan.scan($0) == nil })
    }

    @Test func chunkedHasNoLength() throws {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        let scan = try #require(Array(text.utf8).withUnsafeBytes { ResponseHeadScan.scan($0) })
        #expect(scan.contentLength == nil)
    }
}
