import Testing
import TunnelCore

@testable import TunnelAPI

/// The models: the reference's samples, what may be missing or unknown, and what makes a response unusable.
@Suite struct APIResponseTests {
    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func tunnelOfTheSecondGeneration() throws {
        let tunnel = try APIResponse.tunnel(Self.bytes(Sample.tunnel))
        #expect(
            tunnel
                == Tunnel(
                    id: Sample.tunnelID, domain: "a1b2c3d4.tunnel.anthropic.com", displayName: "Production",
                    createdAt: UnixTime(seconds: 1_782_907_200)))
        #expect(!tunnel.isArchived)
    }

    @Test func tunnelOfTheFirstGeneration() throws {
        let tunnel = try APIResponse.tunnel(
            Self.bytes(
                """
                {"id":"tnl_1","domain":"AB.tunnel.anthropic.com","created_at":"2026-05-20T00:00:00Z",
                 "archived_at":"2026-05-21T00:00:00+00:00","workspace_id":"wrkspc_1","new":{"a":[1]}}
                """))
        #expect(tunnel.workspaceID == "wrkspc_1" && tunnel.isArchived && tunnel.displayName == nil)
        #expect(tunnel.domain == "ab.tunnel.anthropic.com")
    }

    @Test func tokenIsSecret() throws {
        let token = try APIResponse.token(Self.bytes(Sample.token))
        #expect(token.value.reveal() == Sample.tunnelToken && token.id.hasPrefix("ttkn_bb97"))
        #expect(!"\(token)".contains(Sample.tunnelToken))
        var dumped = ""
        dump(token, to: &dumped)
        #expect(!dumped.contains(Sample.tunnelToken))
    }

    @Test func certificate() throws {
        let certificate = try APIResponse.certificate(Self.bytes(Sample.certificate))
        #expect(certificate.id == Sample.certificateID && certificate.tunnelID == Sample.tunnelID)
        #expect(certificate.fingerprint == Sample.fingerprint && !certificate.isArchived)
        #expect(certificate.createdAt == UnixTime(seconds: 1_730_332_707, nanoseconds: 427_722_000))
        #expect(certificate.expiresAt == UnixTime(seconds: 1_888_099_107, nanoseconds: 427_722_000))
    }

    @Test func fingerprintBecomesLowerCase() throws {
        let text = Sample.certificate.replacing(Sample.fingerprint, with: Sample.fingerprint.uppercased())
        #expect(try APIResponse.certificate(Self.bytes(text)).fingerprint == Sample.fingerprint)
    }

    @Test(arguments: [("null", nil), ("\"\"", nil), ("\"c=/+\"", "c=/+")]) func pages(
        _ row: (next: String, cursor: String?)
    ) throws {
        let page = try APIResponse.tunnels(Self.bytes(#"{"data":[\#(Sample.tunnel)],"next_page":\#(row.next)}"#))
        #expect(page.items.map(\.id) == [Sample.tunnelID] && page.next == row.cursor)
    }

    @Test func pageWithoutCursorIsTheLast() throws {
        #expect(try APIResponse.certificates(Self.bytes(#"{"data":[]}"#)).next == nil)
    }

    @Test(arguments: [
        (#""id":"\#(Sample.tunnelID)""#, #""i":1"#, "lacks id"),
        (#""id":"\#(Sample.tunnelID)""#, #""id":"""#, "id is not an id"),
        (#""id":"\#(Sample.tunnelID)""#, #""id":"../x""#, "id is not an id"),
        (#""id":"\#(Sample.tunnelID)""#, #""id":7"#, "id is not usable"),
        (#""domain":"a1b2c3d4.tunnel.anthropic.com""#, #""d":1"#, "lacks domain"),
        (#""domain":"a1b2c3d4.tunnel.anthropic.com""#, #""domain":"""#, "no host name"),
        (#""domain":"a1b2c3d4.tunnel.anthropic.com""#, #""domain":"a..b""#, "no host name"),
        (#""domain":"a1b2c3d4.tunnel.anthropic.com""#, #""domain":"a\nb""#, "no host name"),
        (#""created_at":"2026-07-01T12:00:00.000Z""#, #""created_at":"yesterday""#, "created_at is not a time"),
        (#""created_at":"2026-07-01T12:00:00.000Z""#, #""created_at":null"#, "created_at is not usable"),
        (#""archived_at":null"#, #""archived_at":"x""#, "archived_at is not a time"),
    ])
    func namesWhatIsWrongWithTunnel(_ row: (member: String, other: String, reason: String)) {
        let text = Sample.tunnel.replacing(row.member, with: row.other)
        #expect(text != Sample.tunnel)
        let error = #expect(throws: APIResponse.Failure.self) { try APIResponse.tunnel(Self.bytes(text)) }
        #expect(error?.reason.contains(row.reason) == true, "\(error?.reason ?? "")")
    }

    @Test(arguments: ["", "{", "[]", "null", "7", #""x""#, "{}", "\u{0}", "<html>"]) func isNoTunnel(_ text: String) {
        #expect(throws: APIResponse.Failure.self) { try APIResponse.tunnel(Self.bytes(text)) }
        #expect(throws: APIResponse.Failure.self) { try APIResponse.token(Self.bytes(text)) }
        #expect(throws: APIResponse.Failure.self) { try APIResponse.certificate(Self.bytes(text)) }
        #expect(throws: APIResponse.Failure.self) { try APIResponse.tunnels(Self.bytes(text)) }
        #expect(throws: APIResponse.Failure.self) { try APIResponse.certificates(Self.bytes(text)) }
    }

    @Test func namesTheEntryOfAList() {
        let error = #expect(throws: APIResponse.Failure.self) {
            try APIResponse.tunnels(Self.bytes(#"{"data":[\#(Sample.tunnel),{"id":"tnl_2"}]}"#))
        }
        #expect(error?.reason == "the response lacks data[1].domain")
    }

    @Test(arguments: [#""""#, #""a b""#, #""a\u0007""#]) func refusesTokenThatIsNotPrintable(_ token: String) {
        let text = Sample.token.replacing("\"\(Sample.tunnelToken)\"", with: token)
        #expect(throws: APIResponse.Failure.self) { try APIResponse.token(Self.bytes(text)) }
    }

    @Test(arguments: ["ab", String(repeating: "g", count: 64), String(repeating: "a", count: 65)])
    func refusesFingerprint(_ fingerprint: String) {
        let text = Sample.certificate.replacing(Sample.fingerprint, with: fingerprint)
        #expect(throws: APIResponse.Failure.self) { try APIResponse.certificate(Self.bytes(text)) }
    }

    @Test(arguments: [#"{"data":"#, "[", #"{"id":"#]) func deepNestingIsAnError(_ opening: String) {
        let bytes = Self.bytes(String(repeating: opening, count: 100_000))
        #expect(throws: APIResponse.Failure.self) { try APIResponse.tunnels(bytes) }
    }

    @Test(arguments: [("", false), ("a", true), ("a/b", false), ("a?b", false), ("..", false), ("é", false)])
    func ids(_ row: (text: String, isValid: Bool)) { #expect(ResourceID.isValid(row.text) == row.isValid) }

    @Test func longestID() {
        let longest = String(repeating: "a", count: 128)
        #expect(ResourceID.isValid(longest) && !ResourceID.isValid(longest + "a"))
    }

    /// It becomes part of certificates: names below it must be possible.
    @Test(arguments: [
        ("a1b2.tunnel.anthropic.com", true), ("A.EXAMPLE", true), ("localhost", true), ("xn--a.example", true),
        ("a." + String(repeating: "b", count: 63), true), ("a." + String(repeating: "b", count: 64), false),
        ("10.0.0.1", false), ("1.2.3", false), ("example.1", false), ("127.1", false), ("::1", false),
        ("fd00::1", false),
        ("[::1]", false), ("0x7f.1", false), ("", false), (".example", false), ("a..example", false),
        ("example.", false), ("-a.example", false), ("a-.example", false), ("a_b.example", false), ("*.example", false),
        ("a/b.example", false), ("é.example", false), ("a b.example", false),
    ]) func domainsAreHostNames(_ row: (text: String, isDomain: Bool)) {
        #expect(Tunnel.isDomain(row.text) == row.isDomain)
        let body = Sample.tunnel.replacing("a1b2c3d4.tunnel.anthropic.com", with: row.text)
        #expect(((try? APIResponse.tunnel(Array(body.utf8))) != nil) == row.isDomain)
    }
}
