import Testing
import TunnelCore

@Suite struct UpstreamPolicyTests {
    typealias Row = (address: String, verdict: String)

    /// Nothing configured. One row is one address that somebody has used, or could use, to get past such a check.
    static let byDefault: [Row] = [
        // RFC 1918, to its edges.
        ("10.0.0.0", "allowed_by_default"), ("10.255.255.255", "allowed_by_default"),
        ("172.16.0.0", "allowed_by_default"), ("172.31.255.255", "allowed_by_default"),
        ("192.168.0.0", "allowed_by_default"), ("192.168.255.255", "allowed_by_default"),
        ("9.255.255.255", "denied_not_allowed"), ("11.0.0.0", "denied_not_allowed"),
        ("172.15.255.255", "denied_not_allowed"), ("172.32.0.0", "denied_not_allowed"),
        ("192.167.255.255", "denied_not_allowed"), ("192.169.0.0", "denied_not_allowed"),
        // Loopback, shared address space, public, documentation, reserved: refused, but a range may open them.
        ("127.0.0.1", "denied_not_allowed"), ("127.8.8.8", "denied_not_allowed"), ("::1", "denied_not_allowed"),
        ("100.64.0.1", "denied_not_allowed"), ("8.8.8.8", "denied_not_allowed"), ("192.0.2.1", "denied_not_allowed"),
        ("240.0.0.1", "denied_not_allowed"), ("2606:4700:4700::1111", "denied_not_allowed"),
        ("fd00::1", "denied_not_allowed"), ("fc00::1", "denied_not_allowed"), ("fec0::1", "denied_not_allowed"),
        // Never by a range.
        ("169.254.169.254", "denied_metadata"), ("169.254.170.2", "denied_metadata"),
        ("169.254.170.23", "denied_metadata"),
        ("169.254.0.23", "denied_metadata"), ("169.254.42.42", "denied_metadata"),
        ("fe80::a9fe:a9fe", "denied_metadata"),
        ("100.100.100.200", "denied_metadata"), ("168.63.129.16", "denied_metadata"),
        ("192.0.0.192", "denied_metadata"),
        ("fd00:ec2::254", "denied_metadata"), ("fd00:ec2::23", "denied_metadata"),
        ("fd00:ec2:0:1::1", "denied_metadata"),
        ("fd20:ce::254", "denied_metadata"), ("fd00:c1::a9fe:a9fe", "denied_metadata"),
        ("fd00:42::42", "denied_metadata"),
        ("fd00:a9fe:a9fe::1", "denied_metadata"), ("fd00:100::100:200", "denied_metadata"),
        ("169.254.0.1", "denied_link_local"), ("169.254.255.255", "denied_link_local"),
        ("fe80::1", "denied_link_local"),
        ("febf:ffff::1", "denied_link_local"),
        ("224.0.0.1", "denied_multicast"), ("239.255.255.255", "denied_multicast"), ("ff02::1", "denied_multicast"),
        ("ffff::1", "denied_multicast"),
        ("0.0.0.0", "denied_unspecified"), ("0.0.0.1", "denied_unspecified"), ("0.255.255.255", "denied_unspecified"),
        ("::", "denied_unspecified"), ("255.255.255.255", "denied_broadcast"),
        // IPv4 in IPv6, the same destination: the inner one's verdict.
        ("::ffff:169.254.169.254", "denied_metadata"), ("::ffff:a9fe:a9fe", "denied_metadata"),
        ("::ffff:127.0.0.1", "denied_not_allowed"), ("::ffff:0.0.0.0", "denied_unspecified"),
        ("::ffff:8.8.8.8", "denied_not_allowed"), ("::ffff:10.0.0.1", "allowed_by_default"),
        // NAT64: a translator somewhere takes it to the inner one, so it is to be allowed as well as the inner one.
        ("64:ff9b::a9fe:a9fe", "denied_metadata"), ("64:ff9b::8.8.8.8", "denied_not_allowed"),
        ("64:ff9b::127.0.0.1", "denied_not_allowed"), ("64:ff9b::10.0.0.1", "denied_embedded_ipv4"),
        ("64:ff9b:1::a9fe:a9fe", "denied_metadata"), ("64:ff9b:1::10.0.0.1", "denied_embedded_ipv4"),
        // The last four bytes say 10.0.0.1; a translator with a /48 reads 169.254.169.254.
        ("64:ff9b:1:a9fe:a9:fe00:a00:1", "denied_embedded_ipv4"), ("64:ff9b:1:1::10.0.0.1", "denied_embedded_ipv4"),
        // IPv4 in IPv6 that may also be plain IPv6: the inner refusal, or the outer one.
        ("::127.0.0.1", "denied_not_allowed"), ("::169.254.169.254", "denied_metadata"), ("::2", "denied_unspecified"),
        ("::10.0.0.1", "denied_embedded_ipv4"), ("::ffff:0:169.254.169.254", "denied_metadata"),
        ("::ffff:0:10.0.0.1", "denied_embedded_ipv4"),
        ("2002:a9fe:a9fe::", "denied_metadata"), ("2002:7f00:1::1", "denied_not_allowed"),
        ("2002:e000:1::", "denied_multicast"), ("2002:a00:1::1", "denied_embedded_ipv4"),
        ("2001:0:a00:1::5601:5601", "denied_metadata"), ("2001:0:a00:1::80ff:fffe", "denied_not_allowed"),
        ("2001:0:808:808::f5ff:fffe", "denied_embedded_ipv4"),
        ("2001:db8::5efe:a9fe:a9fe", "denied_metadata"), ("2606:4700::200:5efe:10.0.0.1", "denied_embedded_ipv4"),
        ("fe80::5efe:10.0.0.1", "denied_link_local"), ("ff02::5efe:10.0.0.1", "denied_multicast"),
    ]
    @Test(arguments: byDefault) func decidesByDefault(_ row: Row) throws {
        let policy = UpstreamPolicy(allowed: nil)
        let verdict = policy.verdict(try #require(IPAddress(row.address)), port: 80)
        #expect(verdict.name == row.verdict)
        #expect(verdict.isAllowed == row.verdict.hasPrefix("allowed"))
    }

    /// The texts that only a lenient reader takes never become an address, so there is nothing to ask the policy.
    @Test(arguments: [
        "0x7f.1", "127.1", "017700000001", "2130706433", "0177.0.0.1", "0x7f000001", "0xA9FEA9FE", "2852039166",
        "169.254.43518", "0251.0376.0251.0376", "fe80::1%eth0", "::ffff:0x7f.1", "[::1]", "10.0.0.1\0.example",
        "１０.0.0.1",
    ]) func lenientTextIsNoAddress(_ text: String) { #expect(IPAddress(text) == nil) }

    /// Ranges replace the default and do not open what is special, however wide they are.
    static let byRange: [([String], String, String)] = [
        (["127.0.0.0/8"], "127.0.0.1", "allowed_by_rule"), (["127.0.0.0/8"], "10.0.0.1", "denied_not_allowed"),
        (["127.0.0.0/8"], "::ffff:127.0.0.1", "allowed_by_rule"), (["127.0.0.0/8"], "::1", "denied_not_allowed"),
        (["10.0.0.0/8"], "10.1.1.1", "allowed_by_rule"), (["0.0.0.0/0"], "8.8.8.8", "allowed_by_rule"),
        (["0.0.0.0/0"], "169.254.169.254", "denied_metadata"), (["0.0.0.0/0"], "169.254.1.1", "denied_link_local"),
        (["0.0.0.0/0"], "100.100.100.200", "denied_metadata"),
        (["168.63.129.16/31"], "168.63.129.16", "denied_metadata"),
        (["169.254.0.0/16"], "169.254.1.1", "denied_link_local"), (["0.0.0.0/0"], "0.0.0.0", "denied_unspecified"),
        (["0.0.0.0/0"], "224.0.0.1", "denied_multicast"), (["0.0.0.0/0"], "255.255.255.255", "denied_broadcast"),
        (["0.0.0.0/0"], "::ffff:169.254.169.254", "denied_metadata"),
        (["0.0.0.0/0"], "2606:4700::1", "denied_not_allowed"),
        (["::/0"], "2606:4700::1", "allowed_by_rule"), (["::/0"], "10.0.0.1", "denied_not_allowed"),
        (["::/0"], "::ffff:10.0.0.1", "denied_not_allowed"), (["::/0"], "64:ff9b::10.0.0.1", "denied_not_allowed"),
        (["::/0"], "fe80::1", "denied_link_local"), (["fe80::/10"], "fe80::1", "denied_link_local"),
        (["::/0"], "fd00:ec2::254", "denied_metadata"), (["::/0"], "ff02::1", "denied_multicast"),
        (["::/0"], "::", "denied_unspecified"), (["::/0"], "::1", "allowed_by_rule"),
        // Two readings, so both must be allowed.
        (["64:ff9b::/96"], "64:ff9b::10.0.0.1", "denied_not_allowed"),
        (["10.0.0.0/8"], "64:ff9b::10.0.0.1", "denied_embedded_ipv4"),
        (["64:ff9b::/96", "10.0.0.0/8"], "64:ff9b::10.0.0.1", "allowed_by_rule"),
        (["64:ff9b::/96", "10.0.0.0/8"], "64:ff9b::11.0.0.1", "denied_not_allowed"),
        (["64:ff9b::/96", "10.0.0.0/8"], "64:ff9b:1::10.0.0.1", "denied_embedded_ipv4"),
        (["64:ff9b:1::/48", "10.0.0.0/8"], "64:ff9b:1::10.0.0.1", "allowed_by_rule"),
        (["::/0", "0.0.0.0/0"], "64:ff9b::a9fe:a9fe", "denied_metadata"),
        (["::/0", "0.0.0.0/0"], "::10.0.0.1", "allowed_by_rule"),
        (["::ffff:0:0:0/96", "10.0.0.0/8"], "::ffff:0:10.0.0.1", "allowed_by_rule"),
        (["2001::/32", "10.0.0.0/8"], "2001:0:808:808::f5ff:fffe", "allowed_by_rule"),
        (["::/0"], "2002:a00:1::", "denied_not_allowed"),
        (["2002::/16", "10.0.0.0/8"], "2002:a00:1::", "allowed_by_rule"),
        (["2002::/16", "10.0.0.0/8"], "2002:808:808::", "denied_not_allowed"),
        (["::/0", "0.0.0.0/0"], "2002:a9fe:a9fe::", "denied_metadata"),
        (["::/0", "0.0.0.0/0"], "64:ff9b:1:a9fe:a9:fe00:a00:1", "denied_embedded_ipv4"),
        // A range of mapped addresses is one of IPv4.
        (["::ffff:10.0.0.0/104"], "10.0.0.1", "allowed_by_rule"),
        (["::ffff:10.0.0.0/104"], "::ffff:10.0.0.1", "allowed_by_rule"),
        ([], "10.0.0.1", "denied_not_allowed"),
    ]
    @Test(arguments: byRange) func rangesDoNotOpenWhatIsSpecial(
        _ row: (ranges: [String], address: String, verdict: String)
    )
        throws
    {
        let policy = UpstreamPolicy(allowed: try row.ranges.map { try IPPrefix($0) })
        #expect(policy.verdict(try #require(IPAddress(row.address)), port: 80).name == row.verdict)
    }

    /// An address listed by itself is what the operator means, whatever it is; its neighbours stay shut.
    @Test(arguments: [
        "169.254.169.254", "100.100.100.200", "169.254.7.7", "224.0.0.1", "0.0.0.0", "255.255.255.255", "fd00:ec2::254",
        "fe80::1", "ff02::1", "::", "8.8.8.8", "2002:a9fe:a9fe::", "64:ff9b:1:1::10.0.0.1", "64:ff9b::a9fe:a9fe",
    ]) func listedByItself(_ text: String) throws {
        let address = try #require(IPAddress(text))
        for listed in [text, "\(text)/\(address.bitWidth)"] {
            let policy = UpstreamPolicy(allowed: [try IPPrefix(listed)])
            #expect(policy.verdict(address, port: 80).name == "allowed_listed_by_itself")
            #expect(!policy.verdict(IPAddress(v4Bytes: 169, 254, 169, 253), port: 80).isAllowed)
        }
    }

    /// Listed as IPv4, it is allowed as the same destination in IPv6 too; listed as mapped, it is the IPv4 address.
    @Test func listedInEitherFamily() throws {
        let mapped = try #require(IPAddress("::ffff:169.254.169.254")), inner = mapped.unwrapped
        for listed in ["169.254.169.254", "::ffff:169.254.169.254"] {
            let policy = UpstreamPolicy(allowed: [try IPPrefix(listed)])
            #expect(policy.verdict(mapped, port: 80).name == "allowed_listed_by_itself")
            #expect(policy.verdict(inner, port: 80).name == "allowed_listed_by_itself")
        }
        // Somebody else takes 6to4 and NAT64 there: the inner one listed does not open the outer.
        let policy = UpstreamPolicy(allowed: [try IPPrefix("169.254.169.254")])
        for outer in ["2002:a9fe:a9fe::", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe"] {
            #expect(policy.verdict(try #require(IPAddress(outer)), port: 80).name == "denied_embedded_ipv4")
        }
    }

    /// A listener at `listener` port 8080 on a machine that has 10.1.2.3 and fd00::5: address, port, own or not.
    static let loops: [(String, String, UInt16, Bool)] = [
        ("::", "127.0.0.1", 8080, true), ("::", "127.9.9.9", 8080, true), ("::", "::1", 8080, true),
        ("::", "10.1.2.3", 8080, true), ("::", "fd00::5", 8080, true), ("::", "::ffff:127.0.0.1", 8080, true),
        ("::", "::ffff:10.1.2.3", 8080, true), ("::", "64:ff9b::10.1.2.3", 8080, true),
        ("::", "10.1.2.4", 8080, false), ("::", "10.1.2.3", 8081, false), ("::", "127.0.0.1", 80, false),
        ("0.0.0.0", "127.0.0.1", 8080, true), ("0.0.0.0", "10.1.2.3", 8080, true), ("0.0.0.0", "10.1.2.4", 8080, false),
        ("127.0.0.1", "127.0.0.1", 8080, true), ("127.0.0.1", "127.0.0.2", 8080, false),
        ("127.0.0.1", "10.1.2.3", 8080, false), ("127.0.0.1", "::ffff:7f00:1", 8080, true),
        ("10.1.2.3", "10.1.2.3", 8080, true), ("::ffff:10.1.2.3", "10.1.2.3", 8080, true),
        ("fd00::5", "fd00::5", 8080, true), ("fd00::5", "fd00::6", 8080, false),
    ]
    @Test(arguments: loops) func refusesItsOwnListener(
        _ row: (listener: String, address: String, port: UInt16, isOwn: Bool)
    ) throws {
        let listener = UpstreamPolicy.Listener(address: try #require(IPAddress(row.listener)), port: 8080)
        let local = try ["10.1.2.3", "fd00::5"].map { try #require(IPAddress($0)) }
        let address = try #require(IPAddress(row.address))
        for isDisabled in [false, true] {
            let policy = UpstreamPolicy(
                allowed: try ["127.0.0.0/8", "10.0.0.0/8", "::/8", "fd00::/8"].map { try IPPrefix($0) },
                validationDisabled: isDisabled, ownListeners: [listener], localAddresses: local)
            let verdict = policy.verdict(address, port: row.port)
            #expect((verdict == .denied(.ownListener)) == row.isOwn, "\(verdict.name)")
            #expect(verdict.isAllowed != row.isOwn, "\(verdict.name)")
        }
        // Listed by itself, even this is allowed.
        let policy = UpstreamPolicy(
            allowed: [IPPrefix(address)], ownListeners: [listener], localAddresses: local)
        #expect(policy.verdict(address, port: row.port) == .allowed(.listedByItself))
    }

    /// Without validation everything goes but a loop, which the unspecified address is too.
    @Test func disabledValidationAllowsAllButLoops() throws {
        let listener = UpstreamPolicy.Listener(address: IPAddress(v4Bytes: 127, 0, 0, 1), port: 8080)
        let policy = UpstreamPolicy(allowed: nil, validationDisabled: true, ownListeners: [listener])
        for row in Self.byDefault {
            #expect(policy.verdict(try #require(IPAddress(row.address)), port: 80) == .allowed(.validationDisabled))
        }
        for text in ["127.0.0.1", "0.0.0.0", "::", "::ffff:0.0.0.0", "::ffff:127.0.0.1"] {
            #expect(policy.verdict(try #require(IPAddress(text)), port: 8080) == .denied(.ownListener), "\(text)")
        }
        #expect(policy.verdict(IPAddress(v4Bytes: 127, 0, 0, 2), port: 8080).isAllowed)
    }

    /// Operators search for these words.
    @Test func refusalReadsAsDocumented() throws {
        #expect(
            UpstreamPolicy.refusal(for: IPAddress(v4Bytes: 203, 0, 113, 7))
                == "IP validation failed: 203.0.113.7 is not a private address")
        #expect(
            UpstreamPolicy.refusal(for: try #require(IPAddress("::FFFF:203.0.113.7")))
                == "IP validation failed: ::ffff:203.0.113.7 is not a private address")
    }
}
