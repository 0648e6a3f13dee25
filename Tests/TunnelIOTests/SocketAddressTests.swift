import Glibc
import Testing
import TunnelCore

@testable import TunnelIO

@Suite struct SocketAddressTests {
    @Test(arguments: [
        (SocketAddress.ip(IPAddress(v4: 0x0A00_0005), port: 9000), "10.0.0.5:9000"),
        (.ip(IPAddress(v6High: 0xFD00_0000_0000_0000, low: 1), port: 443), "[fd00::1]:443"),
        (.unix(path: "/run/proxy.sock"), "unix:/run/proxy.sock"),
    ]) func readsAsPeopleWriteIt(_ address: SocketAddress, _ text: String) { #expect("\(address)" == text) }

    @Test(arguments: [
        SocketAddress.ip(IPAddress(v4: 0x0102_0304), port: 0x1234), .ip(IPAddress(v4: 0), port: 0),
        .ip(IPAddress(v6High: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210), port: 65_535),
    ]) func survivesTheKernelsForm(_ address: SocketAddress) {
        #expect(address.withSockaddr { pointer, _ in SocketAddress(copying: pointer) } == .some(address))
    }

    /// The kernel takes 107 bytes and a zero; what is longer has no address, and writes nothing beyond it.
    @Test(arguments: [(107, true), (108, false), (4_000, false)]) func aPathHas107Bytes(_ count: Int, _ isTaken: Bool) {
        let path = "/" + String(repeating: "a", count: count - 1)
        #expect((SocketAddress.unix(path: path).withSockaddr { _, _ in true } ?? false) == isTaken)
    }

    @Test func otherFamiliesAreNone() {
        #expect(SocketAddress(copying: nil) == nil)
        #expect(SocketAddress(sockaddr_storage()) == nil)
    }
}

@Suite struct IOErrorTests {
    @Test(arguments: [
        (IOError(.system(ECONNREFUSED), "connect"), "connect: connection refused"),
        (IOError(.timedOut, "read"), "read: i/o timeout"), (IOError(.nameNotFound, "lookup"), "lookup: no such host"),
        (IOError(.endOfStream, "read"), "read: unexpected end of stream"),
        (IOError(.tls, "handshake", detail: "bad certificate"), "handshake: bad certificate"),
    ]) func saysWhatFailedAndWhy(_ error: IOError, _ text: String) { #expect(error.description == text) }

    @Test func theCodeIsWhatCounts() {
        #expect(IOError(.timedOut, "a") == IOError(.timedOut, "b", detail: "c"))
        #expect(IOError(.timedOut, "a") != IOError(.closed, "a"))
    }
}
