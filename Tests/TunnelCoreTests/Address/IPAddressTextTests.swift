import Testing
@testable import TunnelCore

@Suite struct IPAddressTextTests {
    /// RFC 5952 §4.2.3: a single zero group stays, the longest run is shortened, the first of equals.
    @Test func shortensAsTheRFCSays() {
        #expect("\(IPAddress(v6High: 0x2001_0DB8_0000_0001, low: 0x0001_0001_0001_0001))" == "2001:db8:0:1:1:1:1:1")
        #expect("\(IPAddress(v6High: 0x2001_0000_0000_0001, low: 0x0000_0000_0000_0001))" == "2001:0:0:1::1")
        #expect("\(IPAddress(v6High: 0x2001_0DB8_0000_0000, low: 0x0001_0000_0000_0001))" == "2001:db8::1:0:0:1")
        #expect("\(IPAddress(v6High: 0x2001_0DB8_0000_0000, low: 0))" == "2001:db8::")
    }

    /// Every pattern of zero and non-zero groups is read back, and no text is longer than the room that is given for it.
    @Test func roundTripsEveryPattern() {
        for pattern in 0..<256 {
            var value: UInt128 = 0
            for bit in 0..<8 { value = value << 16 | (pattern >> bit & 1 == 1 ? 0xABCD : 0) }
            let address = IPAddress(
                v6High: UInt64(truncatingIfNeeded: value >> 64), low: UInt64(truncatingIfNeeded: value))
            let text = address.description
            #expect(IPAddress(text) == address)
            #expect(text.utf8.count <= IPAddress.maxDescriptionBytes)
            #expect(!text.contains(":::"))
        }
    }

    @Test func appendsWithoutString() {
        var buffer = ByteBuffer()
        IPAddress(v4Bytes: 1, 20, 0, 255).append(to: &buffer)
        #expect(buffer.array == Array("1.20.0.255".utf8))
    }
}
