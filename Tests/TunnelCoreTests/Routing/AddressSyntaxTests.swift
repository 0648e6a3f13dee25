import Testing
import TunnelCore

@Suite struct AddressSyntaxTests {
    @Test(arguments: ["0.0.0.0", "10.1.2.3", "255.255.255.255"])
    func knowsIPv4(_ text: String) {
        #expect(AddressSyntax.isIPv4(text) && !AddressSyntax.isIPv6(text) && !AddressSyntax.isHostName(text))
    }

    @Test(arguments: [
        "", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.", ".1.2.3", "1..2.3", "0x1.2.3.4", "1.2.3.4 ",
        "+1.2.3.4", "1.2.3.-4", "１.2.3.4",
    ])
    func refusesAsIPv4(_ text: String) {
        #expect(!AddressSyntax.isIPv4(text))
    }

    @Test(arguments: [
        "::", "::1", "1::", "fd00::7", "2001:db8:0:1:1:1:1:1", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::8",
        "::ffff:10.0.0.1", "64:ff9b::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "ABCD:EF01::",
        "::1.2.3.4",
    ])
    func knowsIPv6(_ text: String) {
        #expect(AddressSyntax.isIPv6(text) && !AddressSyntax.isIPv4(text) && !AddressSyntax.isHostName(text))
    }

    @Test(arguments: [
        "", ":", ":::", "1", "1:", ":1", "1:2", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8", "12345::", "g::", "::1%eth0", "[::1]",
        "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "1.2.3.4::", ":1::", "1:::2", "::1:", "1::2:", "1:2:3:4:5:6:7:",
        ":2:3:4:5:6:7:8", "::1.2.3.4:5",
    ])
    func refusesAsIPv6(_ text: String) {
        #expect(!AddressSyntax.isIPv6(text))
    }

    @Test(arguments: [
        "a", "localhost", "hello-mcp", "my_server", "echo.abcd1234.tunnel.anthropic.com", "A.B", "1a", "3com.example",
        "0xyz", "xn--bcher-kva.example",
    ])
    func knowsHostNames(_ text: String) {
        #expect(AddressSyntax.isHostName(text))
    }

    /// Among them the forms that resolvers take for addresses.
    @Test(arguments: [
        "", ".", "a.", ".a", "a..b", "-a", "a-", "a b", "a/b", "*.a", "bücher", "a:1", "127.1", "2130706433",
        "0x7f.0.0.1", "0x7f000001", "a.0x1", "a.1", "0x", "10.0.0.256", "a\n", "a\u{0}",
    ])
    func refusesAsHostName(_ text: String) {
        #expect(!AddressSyntax.isHostName(text))
    }

    @Test(arguments: ["a", "123", "0", "0x7f", "a_b", "1-2", String(repeating: "1", count: 63)])
    func knowsLabels(_ text: String) {
        #expect(AddressSyntax.isLabel(text))
    }

    @Test(arguments: ["", ".", "1.2", "a.b", "-1", "1-", "1 2", "*", "é", String(repeating: "1", count: 64)])
    func refusesAsLabel(_ text: String) {
        #expect(!AddressSyntax.isLabel(text))
    }

    @Test func limitsHostNames() {
        let label = String(repeating: "a", count: 63)
        #expect(AddressSyntax.isHostName(label) && !AddressSyntax.isHostName(label + "a"))
        let name = [label, label, label, String(repeating: "b", count: 61)].joined(separator: ".")
        #expect(name.utf8.count == 253 && AddressSyntax.isHostName(name) && !AddressSyntax.isHostName(name + "b"))
    }

    @Test(
        arguments: [
            ("1", 1), ("80", 80), ("65535", 65_535), ("0", nil), ("65536", nil), ("", nil), ("+80", nil), ("080", nil),
            ("-1", nil), ("8 0", nil), ("99999999999", nil), ("８", nil),
        ] as [(String, UInt16?)])
    func readsPorts(_ text: String, _ port: UInt16?) {
        #expect(AddressSyntax.port(text) == port)
    }

    @Test func allowsPortZeroOnlyWhenAsked() {
        #expect(AddressSyntax.port("0", allowsZero: true) == 0 && AddressSyntax.port("00", allowsZero: true) == nil)
    }
}
