import Testing
import TunnelCore

@Suite struct EmbeddedIPv4Tests {
    /// One row per form and per edge of each; `nil` where nothing is embedded.
    static let vectors: [(String, EmbeddedIPv4.Form?, String)] = [
        ("::ffff:169.254.169.254", .mapped, "169.254.169.254"),
        ("::ffff:0.0.0.0", .mapped, "0.0.0.0"),
        ("::fffe:a00:1", nil, ""), ("::1:0:a00:1", nil, ""), ("0:0:0:1:0:ffff:a00:1", nil, ""),
        ("::ffff:0:10.0.0.1", .translated, "10.0.0.1"),
        ("::ffff:1:10.0.0.1", nil, ""),
        ("::127.0.0.1", .compatible, "127.0.0.1"), ("::2", .compatible, "0.0.0.2"),
        ("::1", nil, ""), ("::", nil, ""),
        ("64:ff9b::a9fe:a9fe", .nat64, "169.254.169.254"), ("64:ff9b::192.0.2.33", .nat64, "192.0.2.33"),
        ("64:ff9b::1:a9fe:a9fe", nil, ""), ("64:ff9b:0:1::a9fe:a9fe", nil, ""), ("64:ff9a::a9fe:a9fe", nil, ""),
        ("64:ff9b:1::10.0.0.1", .nat64Local, "10.0.0.1"),
        ("64:ff9b:1:a9fe:a9:fe00::", .nat64LocalAmbiguous, "0.0.0.0"),
        ("64:ff9b:1:a9fe:a9:fe00:a00:1", .nat64LocalAmbiguous, "10.0.0.1"),
        ("64:ff9b:1:1::10.0.0.1", .nat64LocalAmbiguous, "10.0.0.1"),
        ("64:ff9b:1:0:0:1:a00:1", .nat64LocalAmbiguous, "10.0.0.1"),
        ("64:ff9b:2::10.0.0.1", nil, ""),
        ("2002:a9fe:a9fe::", .sixToFour, "169.254.169.254"), ("2002:c000:204::1", .sixToFour, "192.0.2.4"),
        ("2003:a9fe:a9fe::", nil, ""),
        // RFC 4380 §4: the example address 2001:0:4136:e378:8000:63bf:3fff:fdd2 is client 192.0.2.45.
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", .teredo, "192.0.2.45"),
        ("2001:0:a00:1::5601:5601", .teredo, "169.254.169.254"), ("2001:1::1", nil, ""), ("2001:db8::1", nil, ""),
        ("fe80::5efe:10.0.0.1", .isatap, "10.0.0.1"), ("2001:db8::5efe:a9fe:a9fe", .isatap, "169.254.169.254"),
        ("2001:db8::200:5efe:808:808", .isatap, "8.8.8.8"), ("2001:db8::100:5efe:a00:1", nil, ""),
        ("2001:db8::5eff:a00:1", nil, ""), ("2001:db8:0:0:8000:5efe:a00:1", nil, ""),
        ("10.0.0.1", nil, ""), ("fd00::1", nil, ""),
    ]

    @Test(arguments: vectors) func findsTheInnerAddress(_ row: (text: String, form: EmbeddedIPv4.Form?, inner: String))
        throws
    {
        let address = try #require(IPAddress(row.text))
        #expect(address.embeddedIPv4?.form == row.form)
        #expect(address.unwrapped == (row.form == nil ? address : try #require(IPAddress(row.inner))))
        #expect(address.unwrapped.isIPv4 == (row.form != nil || address.isIPv4))
    }

    /// Unwrapping once is enough: what is inside is IPv4.
    @Test func unwrappedIsPlain() throws {
        for row in Self.vectors {
            #expect(try #require(IPAddress(row.0)).unwrapped.embeddedIPv4 == nil)
        }
    }
}
