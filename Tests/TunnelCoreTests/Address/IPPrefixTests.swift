import Testing
@testable import TunnelCore

@Suite struct IPPrefixTests {
    static let good: [(String, String, Int)] = [
        ("10.0.0.0/8", "10.0.0.0", 8), ("0.0.0.0/0", "0.0.0.0", 0), ("10.0.0.1", "10.0.0.1", 32),
        ("10.0.0.1/32", "10.0.0.1", 32), ("100.64.12.0/22", "100.64.12.0", 22),
        ("255.255.255.254/31", "255.255.255.254", 31),
        ("fd00::/8", "fd00::", 8), ("::/0", "::", 0), ("::1", "::1", 128), ("::1/128", "::1", 128),
        ("2001:DB8::/64", "2001:db8::", 64), ("2001:db8::8000:0:0:0/65", "2001:db8:0:0:8000::", 65),
    ]
    @Test(arguments: good) func parses(_ row: (text: String, network: String, length: Int)) throws {
        let prefix = try IPPrefix(row.text)
        #expect(prefix.network.description == row.network && prefix.length == row.length)
        #expect(prefix.isSingle == (row.length == prefix.network.bitWidth))
        #expect(try IPPrefix(prefix.description) == prefix)
    }

    /// Every refusal says what is wrong and what to write instead.
    static let bad: [(String, AddressError.Code, String)] = [
        ("10.0.0.1/8", .hostBitsSet, "did you mean 10.0.0.0/8 (the network) or 10.0.0.1 (the address alone)?"),
        ("2001:db8:0:1::/63", .hostBitsSet, "2001:db8::/63"),
        ("0.0.0.1/0", .hostBitsSet, "did you mean 0.0.0.0/0"), ("10.0.0.1/31", .hostBitsSet, "10.0.0.0/31"),
        ("2001:db8::1/64", .hostBitsSet, "did you mean 2001:db8::/64"), ("::1/0", .hostBitsSet, "::/0"),
        ("2001:db8::1/127", .hostBitsSet, "did you mean 2001:db8::/127"),
        ("10.0.0.0/33", .badPrefixLength, "from 0 to 32"), ("::/129", .badPrefixLength, "from 0 to 128"),
        ("10.0.0.0/", .badPrefixLength, "from 0 to 32"), ("10.0.0.0/08", .badPrefixLength, "from 0 to 32"),
        ("10.0.0.0/-1", .badPrefixLength, "from 0 to 32"), ("10.0.0.0/+8", .badPrefixLength, "from 0 to 32"),
        ("10.0.0.0/8 ", .badPrefixLength, "from 0 to 32"), ("10.0.0.0/8/8", .badPrefixLength, "from 0 to 32"),
        ("10.0.0.0/٨", .badPrefixLength, "from 0 to 32"),
        ("10.0.0.0/99999999999999999999", .badPrefixLength, "from 0 to 32"),
        ("10.0.0.0/255.0.0.0", .badPrefixLength, "did you mean 10.0.0.0/8?"),
        ("10.0.0.0/255.255.255.255", .badPrefixLength, "did you mean 10.0.0.0/32?"),
        ("10.0.0.0/0.0.0.0", .badPrefixLength, "did you mean 10.0.0.0/0?"),
        ("10.0.0.0/255.0.255.0", .badPrefixLength, "from 0 to 32"),
        ("::/255.0.0.0", .badPrefixLength, "from 0 to 128"),
        ("", .notAnAddress, "write an address such as"), ("/8", .notAnAddress, "write an address such as"),
        ("10/8", .notAnAddress, "write all four"), ("10.0.0/24", .notAnAddress, "write all four"),
        ("010.0.0.0/8", .notAnAddress, "read as octal"), ("10.0.0.256", .notAnAddress, "from 0 to 255"),
        ("fe80::1%eth0", .notAnAddress, "without %"), ("[::1]", .notAnAddress, "without brackets"),
        ("internal.example", .notAnAddress, "names and address lists"),
        ("10.0.0.1-10.0.0.9", .notAnAddress, "names and address lists"),
        ("10.0.0.0/8,10.0.0.1", .badPrefixLength, "0 to 32"),
    ]
    @Test(arguments: bad) func refusesWithARemedy(_ row: (text: String, code: AddressError.Code, part: String)) throws {
        let error = try #require(throws: AddressError.self) { try IPPrefix(row.text) }
        #expect(error.code == row.code)
        #expect(error.description.contains(row.part), "\(error)")
    }

    /// The text comes from a file and goes to a terminal.
    @Test func errorsAreOneShortLine() throws {
        let error = try #require(throws: AddressError.self) {
            try IPPrefix("\u{1B}[31m\n" + String(repeating: "x", count: 999))
        }
        #expect(!error.description.contains("\n") && !error.description.contains("\u{1B}"))
        #expect(error.description.utf8.count < 300)
    }

    static let members: [(String, String, Bool)] = [
        ("10.0.0.0/8", "10.0.0.0", true), ("10.0.0.0/8", "10.255.255.255", true),
        ("10.0.0.0/8", "9.255.255.255", false),
        ("10.0.0.0/8", "11.0.0.0", false), ("172.16.0.0/12", "172.31.255.255", true),
        ("172.16.0.0/12", "172.32.0.0", false),
        ("0.0.0.0/0", "255.255.255.255", true), ("0.0.0.0/0", "::", false), ("::/0", "10.0.0.1", false),
        ("10.0.0.1", "10.0.0.1", true), ("10.0.0.1", "10.0.0.2", false), ("::/0", "ffff::", true),
        ("10.0.0.0/8", "::ffff:10.0.0.1", false), ("fd00::/8", "fdff:ffff::1", true), ("fd00::/8", "fe00::", false),
        ("2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", true), ("2001:db8::/64", "2001:db8:0:1::", false),
        ("2001:db8::/65", "2001:db8::8000:0:0:0", false), ("2001:db8::/63", "2001:db8:0:1::", true),
        ("::1", "::1", true), ("::1", "::2", false), ("::/127", "::1", true), ("::/127", "::2", false),
    ]
    @Test(arguments: members) func contains(_ row: (prefix: String, address: String, isMember: Bool)) throws {
        #expect(try IPPrefix(row.prefix).contains(#require(IPAddress(row.address))) == row.isMember)
    }

    @Test func takesMappedRangesAsIPv4() throws {
        #expect(try IPPrefix("::ffff:10.0.0.0/104").unmapped == IPPrefix("10.0.0.0/8"))
        #expect(try IPPrefix("::ffff:10.0.0.1").unmapped == IPPrefix("10.0.0.1"))
        #expect(try IPPrefix("::ffff:0:0/96").unmapped == IPPrefix("0.0.0.0/0"))
        #expect(try IPPrefix("::/80").unmapped == IPPrefix("::/80"))
        #expect(try IPPrefix("64:ff9b::/96").unmapped == IPPrefix("64:ff9b::/96"))
    }
}
