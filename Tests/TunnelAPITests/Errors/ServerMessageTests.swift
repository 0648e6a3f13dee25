import Testing

@testable import TunnelAPI

/// What is kept of a body that tells of an error, and that nothing else is.
@Suite struct ServerMessageTests {
    private static func read(_ body: String, _ fields: [HTTPField] = []) -> ServerMessage {
        ServerMessage(HTTPResponse(status: 400, fields: fields, body: Array(body.utf8)), Redaction([]))
    }

    @Test func envelope() {
        let said = Self.read(
            #"{"type":"error","error":{"type":"not_found_error","message":"gone","x":1},"request_id":"req_1","y":2}"#)
        #expect(said.type == "not_found_error" && said.message == "gone" && said.requestID == "req_1")
    }

    @Test func envelopeWithoutType() {
        let said = Self.read(#"{"error":{"message":"gone"}}"#)
        #expect(said.type == nil && said.message == "gone" && said.requestID == nil)
    }

    @Test(arguments: [
        (#"{"error":"invalid_grant"}"#, "invalid_grant"),
        (#"{"error":"invalid_grant","error_description":"expired"}"#, "expired"),
        (#"{"error":"invalid_grant","error_uri":"https://a/b"}"#, "invalid_grant (https://a/b)"),
        (#"{"error":"invalid_grant","error_description":"expired","error_uri":7,"assertion":"x"}"#, "expired"),
    ])
    func oauth(_ row: (body: String, message: String)) {
        let said = Self.read(row.body)
        #expect(said.type == "invalid_grant" && said.message == row.message)
    }

    @Test(arguments: [
        "", "<html>secret</html>", "[]", "null", "{}", #"{"message":"secret"}"#, #"{"error":7}"#, #"{"error":null}"#,
        #"{"error":{"type":"x"}}"#, #"{"error":["secret"]}"#, #""secret""#, "\u{0}",
    ])
    func restIsRedacted(_ body: String) {
        #expect(Self.read(body).message == "[redacted; not a JSON error response]")
    }

    @Test func fieldComesBeforeBody() {
        let body = #"{"error":{"message":"m"},"request_id":"req_body"}"#
        #expect(Self.read(body, [HTTPField("Request-ID", "req_field")]).requestID == "req_field")
        #expect(Self.read(body).requestID == "req_body")
        #expect(Self.read("<html>", [HTTPField("request-id", "req_field")]).requestID == "req_field")
    }

    @Test func namesAreBoundedAndOnOneLine() {
        let long = String(repeating: "r", count: 300)
        let said = Self.read(#"{"error":{"type":"a\nb","message":"m"}}"#, [HTTPField("request-id", long)])
        #expect(said.type == #"a\nb"# && said.requestID?.count == 200)
    }
}
