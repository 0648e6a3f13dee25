import Testing

@testable import TunnelPKI

@Suite struct DNSNameTests {
    static let label63 = String(repeating: "a", count: 63)
    static let name253 = [label63, label63, label63, String(repeating: "b", count: 61)].joined(separator: ".")

    @Test(arguments: ["a", "A.b-c.9", "*.example", "xn--bcher-kva.example", label63 + ".x", name253])
    func accepts(_ text: String) { #expect(DNSName(text)?.description == text.lowercased()) }

    @Test(arguments: [
        "", ".", "a.", ".a", "a..b", "*", "a.*.b", "*a.b", "**.b", "-a", "a-", "a_b", "a b", "a,DNS:b", "a\nb", "a\0",
        "ü",
        "[::1]", "a:443", "https://a", label63 + "a", name253 + "b",
    ])
    func refuses(_ text: String) { #expect(DNSName(text) == nil) }

    @Test(arguments: [
        ("*.t.example", "a.t.example", true), ("*.t.example", "A.T.example", true),
        ("*.t.example", "a.b.t.example", false), ("*.t.example", "t.example", false),
        ("*.t.example", "*.t.example", true), ("*.example", "*.t.example", false),
        ("*.t.example", "a.u.example", false),
        ("t.example", "t.example", true), ("t.example", "a.t.example", false), ("*.example", "t.example", true),
    ])
    func covers(_ row: (name: String, host: String, expected: Bool)) throws {
        #expect(try #require(DNSName(row.name)).covers(try #require(DNSName(row.host))) == row.expected)
    }

    @Test func liesWithin() throws {
        let domain = try #require(DNSName("t.example"))
        for text in ["t.example", "a.t.example", "*.t.example", "a.b.t.example"] {
            #expect(DNSName(text)?.isWithin(domain) == true)
        }
        for text in ["example", "at.example", "t.example.org", "*.example"] {
            #expect(DNSName(text)?.isWithin(domain) == false)
        }
    }
}
