import Testing

@testable import TunnelProxy

@Suite struct AllowedRangeTests {
    @Test(arguments: [
        "10.0.0.0/8", "192.168.1.7", "0.0.0.0/0", "127.0.0.1/32", "10.1.2.3/8", "fd00::/8", "::/0", "::1", "::1/128",
        "::ffff:10.0.0.0/104",
    ])
    func takes(_ text: String) {
        #expect(validateAllowedRange(text) == nil)
    }

    @Test(arguments: [
        "", "/", "/8", "10.0.0/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/8/8",
        "10.0.0.0/255.0.0.0", "010.0.0.0/8", "::/129", "fe80::1%eth0", "[::1]", "localhost",
        "10.0.0.0-10.0.0.9", " 10.0.0.0/8", "10.0.0.0/8 ",
    ])
    func refuses(_ text: String) {
        #expect(validateAllowedRange(text) != nil)
    }
}
