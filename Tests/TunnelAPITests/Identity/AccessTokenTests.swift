import Testing
import TunnelCore

@testable import TunnelAPI

/// What may and must be in the token endpoint's answer.
@Suite struct AccessTokenTests {
    private static func read(_ body: String) throws(AccessToken.Failure) -> AccessToken {
        try AccessToken(response: Array(body.utf8))
    }

    @Test func readsAll() throws {
        let token = try Self.read(
            #"{"access_token":"t","token_type":"bEARER","expires_in":3600,"scope":"a  b","more":[1,{"x":null}]}"#)
        #expect(token.value.reveal() == "t" && token.scopes == ["a", "b"] && token.lifetime == 3600)
    }

    @Test(arguments: [
        #"{"access_token":"t"}"#, #"{"access_token":"t","token_type":null,"expires_in":null,"scope":null}"#,
        #"{"access_token":"t","expires_in":"soon","scope":7}"#,
    ])
    func restIsOptional(_ body: String) throws {
        let token = try Self.read(body)
        #expect(token.value.reveal() == "t" && token.scopes.isEmpty && token.lifetime == nil)
    }

    @Test(arguments: [("0", 0), ("-5", 0), ("59.9", 59), ("1e300", 315_360_000), ("9223372036854775808", 315_360_000)])
    func lifetimeIsBounded(_ row: (text: String, seconds: Int64)) throws {
        #expect(try Self.read(#"{"access_token":"t","expires_in":\#(row.text)}"#).lifetime == row.seconds)
    }

    @Test(arguments: [
        ("", "not a JSON object"), ("token", "not a JSON object"), ("[]", "not a JSON object"),
        ("null", "not a JSON object"), (#""t""#, "not a JSON object"), ("{}", "missing access_token"),
        (#"{"access_token":""}"#, "missing access_token"), (#"{"access_token":null}"#, "missing access_token"),
        (#"{"access_token":["t"]}"#, "missing access_token"),
        (#"{"access_token":"t","token_type":"mac"}"#, "unsupported token_type"),
        (#"{"access_token":"t","token_type":""}"#, "unsupported token_type"),
        (#"{"access_token":"t","token_type":1}"#, "unsupported token_type"),
        (#"{"access_token":"t\r\nX: y"}"#, "cannot stand in a header"),
    ])
    func refuses(_ row: (body: String, reason: String)) {
        let error = #expect(throws: AccessToken.Failure.self) { try Self.read(row.body) }
        #expect(error?.reason.contains(row.reason) == true)
    }

    @Test(arguments: ["[", "{\"access_token\":"]) func deepNestingIsAnError(_ opening: String) {
        #expect(throws: AccessToken.Failure.self) { try Self.read(String(repeating: opening, count: 100_000)) }
    }
}
