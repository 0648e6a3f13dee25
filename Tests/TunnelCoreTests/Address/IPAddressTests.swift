import Testing
import TunnelCore

@Suite struct IPAddressTests {
    @Test func keepsItsBytes() throws {
        let v4 = IPAddress(v4Bytes: 192, 0, 2, 1)
        #expect(v4.isIPv4 && v4.bitWidth == 32 && v4.v4 == 0xC000_0201 && v4.v6 == nil)
        #expect(v4.bytes == [192, 0, 2, 1])
        #expect(v4 == IPAddress(v4: 0xC000_0201))

        let bytes = (0..<16).map { UInt8($0 * 17) }
        let parsed = IPAddress(v6Bytes: bytes.span)
        let v6 = try #require(parsed)
        #expect(!v6.isIPv4 && v6.bitWidth == 128 && v6.v4 == nil)
        #expect(v6.v6?.high == 0x0011_2233_4455_6677 && v6.v6?.low == 0x8899_AABB_CCDD_EEFF)
        #expect(v6.bytes == bytes)
    }

    @Test(arguments: [0, 4, 15, 17]) func refusesOtherSizes(_ count: Int) {
        let address = IPAddress(v6Bytes: [UInt8](repeating: 1, count: count).span)
        #expect(address == nil)
    }

    @Test(arguments: ["192.0.2.1", "2001:db8::1"]) func copiesBytesOnlyWhereTheyFit(_ text: String) throws {
        let address = try #require(IPAddress(text))
        let size = address.bytes.count
        for room in [size - 1, size, size + 1] {
            var target = [UInt8](repeating: 0xEE, count: room)
            let written = target.withUnsafeMutableBytes { address.copyBytes(to: $0) }
            #expect(written == (room < size ? 0 : size))
            let expected = room < size ? target.map { _ in 0xEE } : address.bytes
            #expect(Array(target.prefix(size)) == expected)
        }
    }

    /// The same bits in the other family are another address.
    @Test func familiesDiffer() {
        #expect(IPAddress(v4: 1) != IPAddress(v6High: 0, low: 1))
    }

    static let loopback: [(String, Bool)] = [
        ("127.0.0.1", true), ("127.255.255.255", true), ("::1", true), ("128.0.0.1", false), ("126.255.255.255", false),
        ("::2", false), ("::ffff:127.0.0.1", false), ("::", false), ("0.0.0.0", false),
    ]
    @Test(arguments: loopback) func knowsLoopback(_ row: (text: String, isLoopback: Bool)) throws {
        #expect(try #require(IPAddress(row.text)).isLoopback == row.isLoopback)
    }

    @Test func knowsUnspecified() throws {
        #expect(try #require(IPAddress("::")).isUnspecified)
        #expect(try #require(IPAddress("0.0.0.0")).isUnspecified)
        #expect(try !#require(IPAddress("0.0.0.1")).isUnspecified)
    }
}
