import Testing
import TunnelCore

@testable import TunnelAPI

/// What an identity token says of itself, and what is refused for it before anything is sent.
@Suite struct IdentityClaimsTests {
    private static func claims(_ text: String) throws(IdentityToken.Failure) -> IdentityClaims {
        try IdentityClaims(Secret(text), named: "identity token value")
    }

    private static func refusal(_ text: String) -> String? {
        do throws(IdentityToken.Failure) {
            _ = try claims(text)
            return nil
        } catch { return error.reason }
    }

    @Test func readsWhatIsCompared() throws {
        let claims = try Self.claims(Sample.jwt())
        #expect(claims.issuer == "https://issuer.example" && claims.subject == "system:serviceaccount:mcp:setup")
        #expect(claims.audiences == ["api.anthropic.com"] && claims.expiresAt == Sample.now + 600)
        #expect(claims.defect(now: UnixTime(seconds: Sample.now)) == nil)
    }

    /// Nothing of a token is in a text, whatever it is.
    static let others: [(String, String)] = [
        ("sk-ant-oat01-not-a-jwt", "it has 1 part with dots between them, not three"),
        ("a.b", "it has 2 parts with dots between them, not three"),
        ("a.b.c.d.e", "it has 5 parts with dots between them, not three"),
        ("", "it has 1 part with dots between them, not three"),
        ("e30=.e30.c2ln", "its first part is not a JSON object in base64url"),
        ("!.e30.c2ln", "its first part is not a JSON object in base64url"),
        ("WzFd.e30.c2ln", "its first part is not a JSON object in base64url"),
        ("e30.bm9uZQ.c2ln", "its second part, the claims, is not a JSON object in base64url"),
        ("e30..c2ln", "its second part, the claims, is not a JSON object in base64url"),
        ("e30.e30.", "it has no signature in base64url"), ("e30.e30.+/+/", "it has no signature in base64url"),
        ("e30.e30.x", "it has no signature in base64url"),
    ]

    @Test(arguments: others) func refusesWhatIsNoJWT(_ row: (text: String, why: String)) {
        #expect(Self.refusal(row.text) == "identity token value is not a JWT: \(row.why)")
    }

    @Test func takesClaimsOfAnyKind() throws {
        let odd = try Self.claims(Sample.jwt(claims: #"{"iss":7,"sub":null,"aud":{},"exp":"soon","iat":1e300}"#))
        #expect(odd.issuer == nil && odd.subject == nil && odd.audiences == [] && odd.expiresAt == nil)
        #expect(
            odd.comparison.contains("its iss (absent)") && odd.comparison.contains("its exp is absent, and required"))
        let several = try Self.claims(Sample.jwt(claims: #"{"aud":["a","b\n"],"exp":1800000000.5}"#))
        #expect(several.comparison.contains(#"its aud ["a", "b\u{a}"] with"#) && several.expiresAt == Sample.now)
        #expect(try Self.claims(Sample.jwt(claims: #"{"aud":"a"}"#)).audiences == ["a"])
    }

    @Test func endIsWithTheLeewayOfTheAPI() throws {
        let claims = try Self.claims(Sample.jwt())
        let end = Sample.now + 600
        #expect(throws: Never.self) { try claims.check(now: UnixTime(seconds: end + 30), named: "it") }
        let error = #expect(throws: IdentityToken.Failure.self) {
            try claims.check(now: UnixTime(seconds: end + 31), named: "identity token value")
        }
        #expect(
            error?.reason
                == "identity token value has ended at 2027-01-15T08:10:00Z, and it is 2027-01-15T08:10:31Z now")
        #expect(throws: Never.self) {
            try Self.claims(Sample.jwt(claims: "{}")).check(now: UnixTime(seconds: .max), named: "it")
        }
    }

    @Test(
        arguments: [
            (#"{"alg":"HS256","kid":"k"}"#, nil, #"its alg "HS256" is none of RS, PS and ES with 256, 384 or 512"#),
            (#"{"kid":"k"}"#, nil, "its alg (absent) is none of RS, PS and ES with 256, 384 or 512"),
            (#"{"alg":"ES256"}"#, nil, "it has no kid"),
            (#"{"alg":"ES256","kid":"k"}"#, #"{"iat":1}"#, "it has no sub"),
            (
                #"{"alg":"ES256","kid":"k"}"#, #"{"sub":"s","iat":1800000031}"#,
                "its iat lies in the future of this machine's clock"
            ),
            (#"{"alg":"ES256","kid":"k"}"#, #"{"sub":"s","iat":1800000030}"#, nil),
        ] as [(String, String?, String?)])
    func namesWhatNoRuleTakes(_ row: (header: String, claims: String?, defect: String?)) throws {
        let claims = try Self.claims(Sample.jwt(header: row.header, claims: row.claims))
        #expect(claims.defect(now: UnixTime(seconds: Sample.now)) == row.defect)
    }

    /// Both before a byte is sent.
    @Test(arguments: [Sample.apiKey, Sample.jwt(claims: #"{"exp":1}"#)]) func nothingIsSent(_ token: String)
        async throws
    {
        let transport = ScriptedTransport([])
        let client = try Sample.client(
            transport, .workloadIdentity(try Sample.identity(token: .value(Secret(token)))))
        let error = await apiError { () throws(APIError) in try await client.authenticate() }
        #expect(error?.hop == .identityToken && transport.requests.isEmpty)
        #expect(error?.description.contains(token) == false)
    }
}
