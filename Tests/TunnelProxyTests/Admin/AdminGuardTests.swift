import Testing
import TunnelCore

@testable import TunnelProxy

/// Whom the admin listener serves: a page of another site is none of them.
@Suite struct AdminGuardTests {
    /// The status of a refusal; `nil` where the request is served.
    private func refusal(
        _ method: String, _ fields: [String], at admin: String = "127.0.0.1:9090", takesLinks: Bool = false
    ) throws -> UInt16? {
        let text = """
            listen_addr: ":8080"
            admin_addr: "\(admin)"
            admin_hosts: [Proxy.internal]
            routes: {a.b: "http://a:1"}
            tls: {cert_file: /c, key_file: /k}
            """
        let configuration = try ProxyConfiguration.parse(Array(text.utf8), file: "f")
        let bytes = Array("\(method) / HTTP/1.1\r\n\(fields.map { "\($0)\r\n" }.joined())\r\n".utf8)
        var head = RequestHead()
        try #require(try head.parse(bytes.span) != nil)
        return AdminGuard(configuration).refusal(of: AdminRequest(head, bytes.span), takesLinks: takesLinks)?
            .status
    }

    /// An address cannot be rebound, and a name that is listed is the operator's business.
    @Test(arguments: ["127.0.0.1:9090", "10.1.2.3", "[::1]:9090", "localhost", "LOCALHOST:1", "proxy.INTERNAL:1"])
    func addressesAndListedNamesAreOurs(_ host: String) throws {
        for method in ["GET", "PUT"] { #expect(try refusal(method, ["Host: \(host)"]) == nil) }
    }

    @Test(arguments: [
        "attacker.example:9090", "127.0.0.1.attacker.example", "localhost.attacker.example", "xproxy.internal",
        "proxy.internal.attacker.example",
    ])
    func namesThatAPageWasReboundToAreNot(_ host: String) throws {
        for method in ["GET", "PUT"] { #expect(try refusal(method, ["Host: \(host)"]) == 421) }
        // Nor if the page says that it is of that name's origin, which it is.
        #expect(try refusal("GET", ["Host: \(host)", "Origin: http://\(host)", "Sec-Fetch-Site: same-origin"]) == 421)
    }

    @Test(
        arguments: [
            ("http://localhost:9090", nil), ("https://LOCALHOST:9090", nil), ("http://localhost", 403),
            ("http://localhost:9091", 403), ("ws://localhost:9090", 403), ("null", 403),
            ("http://attacker.example", 403),
        ] as [(String, UInt16?)])
    func pagesOfOtherOriginsAreRefused(_ origin: String, _ status: UInt16?) throws {
        for method in ["GET", "PUT"] {
            #expect(try refusal(method, ["Host: localhost:9090", "Origin: \(origin)"]) == status)
        }
    }

    /// A browser that sends no Origin says where a request comes from all the same: of an image, or a `fetch` whose response
    /// the page does not ask for. Whoever types the address is of no site, and a program says nothing.
    @Test(
        arguments: [
            ("cross-site", 403), ("same-site", 403), ("same-origin", nil), ("none", nil), ("SAME-ORIGIN", 403),
            ("none, none", 403),
        ] as [(String, UInt16?)])
    func requestsOfOtherSitesAreRefused(_ site: String, _ status: UInt16?) throws {
        let fields = ["Host: localhost:9090", "Sec-Fetch-Site: \(site)"]
        for (method, takesLinks) in [("GET", false), ("GET", true), ("HEAD", true), ("PUT", false), ("PUT", true)] {
            #expect(try refusal(method, fields, takesLinks: takesLinks) == status)
        }
        #expect(try refusal("GET", ["Host: localhost:9090"]) == nil)
    }

    /// A link leads to the page, but not to a stream; nor is a frame a link, or a form.
    @Test(
        arguments: [
            ("GET", "navigate", "document", nil), ("HEAD", "navigate", "document", nil),
            ("GET", "navigate", "iframe", 403), ("GET", "no-cors", "document", 403), ("GET", "no-cors", "empty", 403),
            ("POST", "navigate", "document", 403), ("PUT", "navigate", "document", 403),
        ] as [(String, String, String, UInt16?)])
    func aLinkLeadsToThePage(_ method: String, _ mode: String, _ destination: String, _ status: UInt16?) throws {
        let fields = [
            "Host: localhost:9090", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: \(mode)",
            "Sec-Fetch-Dest: \(destination)",
        ]
        #expect(try refusal(method, fields, takesLinks: true) == status)
        #expect(try refusal(method, fields, takesLinks: false) == 403)
        #expect(try refusal(method, fields + ["Origin: http://attacker.example"], takesLinks: true) == 403)
    }

    @Test func noBrowserReachesASocket() throws {
        #expect(try refusal("GET", ["Host: anything.example"], at: "unix:/run/admin.sock") == nil)
    }
}
